"""The rows of the product line *engagement*, before ``documents`` makes MongoDB documents of them.

One frame for each collection; the items of wish lists have one of their own.
"""

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
    numbered,
    places,
    skewed,
    updated_at,
)
from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.words import CANARY, pick

DEVICES_MOST, DEVICES_MADE = 100, 25
ITEMS_MOST, ITEMS_MADE = 1000, 200
"""Keys are made of their owner's, with room for what is to come."""

_POSITIONS_MOST = 6


def engagement_rows(random: Random, customers: pl.DataFrame) -> Frames:
    """The rows of engagement for new customers.

    Args:
        customers: with ``customer_id`` and ``email``.
    """
    ids = customers["customer_id"].to_numpy()
    frames = {
        "preferences": _preferences(random, customers),
        "contact": _contacts(random, customers),
        "demographics": _demographics(random, _some(random, ids, 0.6)),
        "portfolio": _portfolios(random, _some(random, ids, 0.3)),
    }
    return frames | _wish_lists(random, _some(random, ids, 0.45)) | _devices(random, ids)


def _some(random: Random, ids: Integers, share: float) -> Integers:
    return ids[random.random(len(ids)) < share]


def _preferences(random: Random, customers: pl.DataFrame) -> pl.DataFrame:
    mask = pl.Series(random.random(customers.height) < 0.6)
    given = customers.filter(mask & customers["email"].is_not_null())
    rows = given.height
    # People write their own address as they like.
    case = pl.Series(random.random(rows))
    email = (
        given.with_columns(case.alias("case"))
        .select(
            pl.when(pl.col("case") < 0.15)
            .then(pl.col("email").str.to_uppercase())
            .when(pl.col("case") < 0.25)
            .then(pl.col("email").str.to_titlecase())
            .when(pl.col("case") < 0.28)
            .then(" " + pl.col("email") + " ")
            .otherwise(pl.col("email"))
            .alias("email")
        )
        .to_series()
    )
    return pl.DataFrame(
        {
            "_id": given["customer_id"],
            "email": email,
            "theme": pick(words.THEMES, places(random, rows, words.THEMES)),
            "push": random.random(rows) < 0.7,
            "mail": random.random(rows) < 0.5,
            "sms": random.random(rows) < 0.2,
            "topics": random.integers(0, 2 ** len(words.TOPICS), rows),
            "updated_at": updated_at(random, rows),
            OWNER: given["customer_id"],
        }
    )


def _contacts(random: Random, customers: pl.DataFrame) -> pl.DataFrame:
    """The address that someone gave in the app; it serves who gave none to the bank."""
    mask = pl.Series(random.random(customers.height) < 0.4) | customers["email"].is_null()
    ids = customers.filter(mask)["customer_id"].to_numpy()
    return pl.DataFrame(
        {
            "_id": ids,
            "email": pl.Series(ids).to_frame("id").select(
                pl.format(f"app-{{}}@{CANARY.lower()}.example", "id")
            ).to_series(),
            "verified": random.random(len(ids)) < 0.8,
            "updated_at": updated_at(random, len(ids)),
            OWNER: ids,
        }
    )  # fmt: skip


def _demographics(random: Random, ids: Integers) -> pl.DataFrame:
    rows = len(ids)
    return pl.DataFrame(
        {
            "_id": ids,
            "income_band": pick(words.INCOMES, chosen(random, rows, (0.2, 0.35, 0.25, 0.15, 0.05))),
            # Ragged: documents lack what was not asked or not told.
            "occupation": pick(words.OCCUPATIONS, places(random, rows, words.OCCUPATIONS)).set(
                pl.Series(random.random(rows) < 0.3), None
            ),
            "adults": random.integers(1, 4, rows),
            "children": skewed(random, rows, 2.0, 1.0, 9),
            "has_household": random.random(rows) < 0.7,
            "updated_at": updated_at(random, rows),
            OWNER: ids,
        }
    )


def _portfolios(random: Random, ids: Integers) -> pl.DataFrame:
    rows = len(ids)
    return pl.DataFrame(
        {
            "_id": ids,
            "risk_profile": pick(words.RISKS, places(random, rows, words.RISKS)),
            "positions": 1 + skewed(random, rows, 2.0, 1.0, _POSITIONS_MOST - 1),
            "first": places(random, rows, words.ISINS),
            "total_cents": np.round(random.lognormal(14, 1.5, rows)).astype(np.int64),
            "updated_at": updated_at(random, rows),
            OWNER: ids,
        }
    )


def _wish_lists(random: Random, ids: Integers) -> Frames:
    who, number = numbered(skewed(random, len(ids), 1.5, 2.0, ITEMS_MADE))
    return {
        "wish_list": pl.DataFrame(
            {"_id": ids, "updated_at": updated_at(random, len(ids)), OWNER: ids}
        ),
        "wish_item": new_wishes(random, ids[who], number),
    }


def new_wishes(random: Random, owners: Integers, numbers: Integers) -> pl.DataFrame:
    """Items of wish lists, one for each owner and running number given."""
    rows = len(owners)
    wish = places(random, rows, words.WISHES)
    titles, categories = zip(*words.WISHES, strict=True)
    return pl.DataFrame(
        {
            "_list": owners,
            "sku": "S" + pl.Series(owners * ITEMS_MOST + numbers).cast(pl.String),
            "title": pick(titles, wish),
            "category": pick(categories, wish),
            "price_cents": random.integers(500, 500_000, rows),
            "price_form": random.integers(0, 5, rows),
            "tags": random.integers(0, 4, rows),
            "added_on": dates(days(random, rows, date(2023, 1, 1), date(2026, 1, 1))),
            OWNER: owners,
        }
    )


def _devices(random: Random, ids: Integers) -> Frames:
    counts = skewed(random, len(ids), 1.8, 1.2, DEVICES_MADE)
    who, number = numbered(counts)
    return {"devices": new_devices(random, ids[who], number)}


def new_devices(random: Random, owners: Integers, numbers: Integers) -> pl.DataFrame:
    """Devices, one for each owner and running number given."""
    rows = len(owners)
    keys = owners * DEVICES_MOST + numbers
    return pl.DataFrame(
        {
            "_id": keys,
            "device_id": "D" + pl.Series(keys).cast(pl.String),
            "name": pick(words.GIVEN, places(random, rows, words.GIVEN))
            + f"'s {CANARY} "
            + pick(words.DEVICES, places(random, rows, words.DEVICES)),
            "platform": pick(words.PLATFORMS, places(random, rows, words.PLATFORMS)),
            "trusted": random.random(rows) < 0.8,
            "last_seen_on": dates(days(random, rows, date(2025, 6, 1), date(2026, 1, 1))),
            "updated_at": updated_at(random, rows),
            OWNER: owners,
        }
    )
