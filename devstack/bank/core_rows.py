"""The rows of the product line *core*: customers, logins, roles, permissions, accounts."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from devstack.bank import words
from devstack.bank.columns import (
    Integers,
    Random,
    chosen,
    dates,
    days,
    instants,
    money,
    numbered,
    places,
    skewed,
    updated_at,
)
from devstack.bank.passwords import POOL, hashes
from devstack.bank.words import CANARY, pick

Frames = dict[str, pl.DataFrame]

OWNER = "_owner"
"""The customer for whom a row was made; columns that start with ``_`` reach no database."""

ACCOUNTS_MOST, ACCOUNTS_MADE = 100, 30
"""Account numbers are made of their owner's, with room for accounts to come."""

_ACCOUNT_BASE = 10**13


def core_rows(random: Random, ids: Integers, seed: int) -> Frames:
    """The rows of core for new customers with these ids."""
    frames = {"customer": _customers(random, ids), "login": _logins(random, ids, seed)}
    frames |= _rights(random, ids)
    frames |= _accounts(random, ids)
    return frames


def permissions_of(roles: list[str]) -> list[str]:
    """What someone with these roles may do, each once."""
    return sorted({permission for role in roles for permission in words.PERMISSIONS[role]})


def array_text(items: list[str]) -> str:
    """A PostgreSQL array of plain words."""
    return "{" + ",".join(items) + "}"


def _customers(random: Random, ids: Integers) -> pl.DataFrame:
    rows = len(ids)
    given, family = places(random, rows, words.GIVEN), places(random, rows, words.FAMILY)
    home = np.minimum(skewed(random, rows, 1.2, 2.0, 1000), len(words.CITIES) - 1)
    since = days(random, rows, date(1995, 1, 1), date(2025, 12, 1))
    cities, countries, languages = zip(*words.CITIES, strict=True)
    texts = pl.DataFrame(
        {
            "id": ids,
            "given": pick(words.GIVEN, given),
            "family": pick(words.FAMILY, family),
            "street": pick(words.STREETS, places(random, rows, words.STREETS)),
            "house": random.integers(1, 200, rows),
            "number": random.integers(1_000_000, 9_999_999, rows),
            "no_mail": random.random(rows) < 0.02,
        }
    ).select(
        name=pl.format(f"{{}} {CANARY}-{{}}", "given", "family"),
        email=pl.when(~pl.col("no_mail")).then(
            pl.format(
                f"{{}}.{{}}.{{}}@{CANARY.lower()}.example",
                pl.col("given").str.to_lowercase(),
                pl.col("family").str.to_lowercase(),
                "id",
            )
        ),
        phone=pl.format(f"+49 30 {{}} {CANARY}", "number"),
        street=pl.format(f"{CANARY} {{}} Street {{}}", "street", "house"),
    )
    return pl.DataFrame(
        {
            "customer_id": ids,
            "name": texts["name"],
            "email": texts["email"],
            "phone": texts["phone"],
            "birth_date": dates(days(random, rows, date(1931, 1, 1), date(2009, 1, 1))),
            "street": texts["street"],
            "postal_code": pl.Series(random.integers(10_000, 99_999, rows)).cast(pl.String),
            "city": pick(cities, home),
            "country": pick(countries, home),
            "language": pick(languages, home),
            "segment": pick(words.SEGMENTS, chosen(random, rows, (0.5, 0.2, 0.1, 0.08, 0.02, 0.1))),
            "status": pick(words.STATUSES, places(random, rows, words.STATUSES)),
            "kyc_level": random.integers(1, 4, rows),
            "customer_since": dates(since),
            "updated_at": updated_at(random, rows),
            OWNER: ids,
        }
    )


def _logins(random: Random, ids: Integers, seed: int) -> pl.DataFrame:
    rows = len(ids)
    failed = skewed(random, rows, 2.0, 0.3, 9)
    return pl.DataFrame(
        {
            "customer_id": ids,
            "password_hash": pick(hashes(seed), ids % POOL),
            "password_no": ids % POOL,
            "locked": (random.random(rows) < 0.015) | (failed >= 5),
            "closed": random.random(rows) < 0.01,
            "failed_attempts": failed,
            "last_login_at": instants(
                days(random, rows, date(2025, 1, 1), date(2026, 1, 1)) * 86_400
                + random.integers(0, 86_400, rows)
            ),
            "updated_at": updated_at(random, rows),
            OWNER: ids,
        }
    )


def _rights(random: Random, ids: Integers) -> Frames:
    sets = [list(roles) for roles, _ in words.ROLE_SETS]
    which = chosen(random, len(ids), [share for _, share in words.ROLE_SETS])
    who, number = numbered(np.array([len(roles) for roles in sets])[which])
    flat = [role for roles in sets for role in roles]
    first = np.cumsum([0, *(len(roles) for roles in sets)])[:-1]
    role = pick(flat, first[which[who]] + number)
    texts = [array_text(permissions_of(roles)) for roles in sets]
    flags = random.random((len(ids), len(words.FLAGS))) < 0.12
    flag_of, flag = np.nonzero(flags)
    return {
        "customer_role": pl.DataFrame(
            {
                "customer_id": ids[who],
                "role": role,
                "updated_at": updated_at(random, len(who)),
                OWNER: ids[who],
            }
        ),
        "access": pl.DataFrame(
            {
                "customer_id": ids,
                "permissions": pick(texts, which),
                "updated_at": updated_at(random, len(ids)),
                OWNER: ids,
            }
        ),
        "feature": pl.DataFrame(
            {
                "customer_id": ids[flag_of],
                "flag": pick(words.FLAGS, flag),
                "enabled": pick(("true", "false"), chosen(random, len(flag), (0.85, 0.15))),
                "updated_at": updated_at(random, len(flag)),
                OWNER: ids[flag_of],
            }
        ),
    }


def account_numbers(owners: Integers, numbers: Integers) -> pl.Series:
    """The account numbers of customers, by their id and a running number of theirs."""
    return pl.Series(_ACCOUNT_BASE + owners * ACCOUNTS_MOST + numbers).cast(pl.String)


def _accounts(random: Random, ids: Integers) -> Frames:
    counts = 1 + skewed(random, len(ids), 1.6, 0.4, ACCOUNTS_MADE)
    who, number = numbered(counts)
    accounts = new_accounts(random, ids[who], number)
    rows = accounts.height
    joint = np.flatnonzero(random.random(rows) < 0.08)
    partner = random.integers(0, len(ids), len(joint))
    joint, partner = joint[partner != who[joint]], partner[partner != who[joint]]
    owned = holders(accounts["account_no"], ids[who], "OWNER")
    shared = holders(accounts["account_no"][joint], ids[partner], "JOINT")
    return {"account": accounts, "account_holder": pl.concat([owned, shared])}


def new_accounts(random: Random, owners: Integers, numbers: Integers) -> pl.DataFrame:
    """Accounts, one for each owner and running number given."""
    rows = len(owners)
    cents = np.round(random.lognormal(11.5, 1.8, rows)).astype(np.int64)
    return pl.DataFrame(
        {
            "account_no": account_numbers(owners, numbers),
            "product": pick(words.ACCOUNT_PRODUCTS, places(random, rows, words.ACCOUNT_PRODUCTS)),
            "balance": money(np.where(random.random(rows) < 0.07, -cents // 50, cents)),
            "currency": pick(words.CURRENCIES, places(random, rows, words.CURRENCIES)),
            "interest_rate": pl.Series(random.integers(0, 500, rows) / 100).cast(pl.String),
            "opened_on": dates(days(random, rows, date(1995, 1, 1), date(2025, 12, 1))),
            "status": pick(words.STATUSES, places(random, rows, words.STATUSES)),
            "updated_at": updated_at(random, rows),
            OWNER: owners,
        }
    )


def holders(accounts: pl.Series, customers: Integers, role: str) -> pl.DataFrame:
    """Who holds accounts, in a role."""
    made = pl.DataFrame({"account_no": accounts, "customer_id": customers})
    return made.with_columns(pl.lit(role).alias("role"), pl.col("customer_id").alias(OWNER))
