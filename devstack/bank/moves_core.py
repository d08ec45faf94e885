"""What a day changes in core: people, logins, rights, accounts and who holds them."""

from __future__ import annotations

import numpy as np
import polars as pl

from devstack.bank.core_rows import (
    ACCOUNTS_MADE,
    OWNER,
    array_text,
    holders,
    new_accounts,
    permissions_of,
)
from devstack.bank.desk import Desk, first_of, of
from devstack.bank.passwords import POOL, hashes
from devstack.bank.words import CANARY

_PLAIN = array_text(permissions_of(["customer"]))
_INVESTING = array_text(permissions_of(["customer", "investor"]))


def address(desk: Desk, number: int) -> None:
    """People move house."""
    users = desk.take(desk.owners("customer"), number)
    street = pl.format(f"{CANARY} New Road {{}}-{desk.day}", "kyc_level")
    desk.change("customer", of(users), street=street)
    desk.note("address", users, seen=True)


def touched(desk: Desk, number: int) -> None:
    """A job writes rows again, with nothing new but the time."""
    users = desk.take(desk.owners("customer"), number)
    desk.change("customer", of(users))
    desk.moved.seen |= set(users)


def email(desk: Desk, number: int) -> None:
    """People change their e-mail address, in core and in the app."""
    _new_address(desk, number, "e-mail", follows=True)


def email_behind(desk: Desk, number: int) -> None:
    """People change their e-mail address in core only: the app's rows lead nowhere."""
    _new_address(desk, number, "e-mail, app behind", follows=False)


def _new_address(desk: Desk, number: int, kind: str, *, follows: bool) -> None:
    with_mail = pl.col("email").is_not_null()
    known = desk.owners("preferences").filter(
        desk.owners("preferences").is_in(desk.owners("customer", with_mail).implode())
    )
    users = desk.take(known, number)
    made = pl.format(f"day{desk.day}.{{}}@{CANARY.lower()}.example", OWNER)
    desk.change("customer", of(users), email=made)
    if follows:
        desk.change("preferences", of(users), email=made)
    desk.note(kind, users, seen=True)


def password(desk: Desk, number: int, seed: int) -> None:
    """People choose another password of the pool."""
    users = desk.take(desk.owners("login"), number)
    entry = (pl.col("password_no") + 1) % POOL
    pool = pl.Series(hashes(seed))
    made = entry.replace_strict(pl.Series(range(POOL)), pool, return_dtype=pl.String)
    desk.change("login", of(users), password_hash=made, password_no=entry)
    desk.note("password", users, seen=True)


def lock(desk: Desk, number: int) -> None:
    """Logins are locked, or opened again."""
    users = desk.take(desk.owners("login"), number)
    desk.change("login", of(users), locked=~pl.col("locked"))
    desk.note("lock", users, seen=True)


def login_lost(desk: Desk, number: int) -> None:
    """Login rows vanish: these users are held."""
    users = desk.take(desk.owners("login"), number)
    desk.delete("login", of(users))
    desk.moved.newly_held |= set(users)
    desk.victims |= set(users)


def role_granted(desk: Desk, number: int) -> None:
    """Customers become investors."""
    users = desk.take(desk.owners("access", pl.col("permissions") == _PLAIN), number)
    role = pl.DataFrame({"customer_id": users}).with_columns(
        role=pl.lit("investor"), updated_at=desk.now, _owner="customer_id"
    )
    desk.insert("customer_role", role)
    desk.change("access", of(users), permissions=pl.lit(_INVESTING))
    desk.note("role granted", users, seen=True)


def role_revoked(desk: Desk, number: int) -> None:
    """Investors are so no longer."""
    users = desk.take(desk.owners("access", pl.col("permissions") == _INVESTING), number)
    desk.delete("customer_role", of(users) & (pl.col("role") == "investor"))
    desk.change("access", of(users), permissions=pl.lit(_PLAIN))
    desk.note("role revoked", users, seen=True)


def balance(desk: Desk, number: int) -> None:
    """Money moves; a joint account's other holder sees it as well."""
    users = desk.take(desk.owners("account"), number)
    accounts = first_of(desk.frames["account"], users, "account_no")
    which = pl.col("account_no").is_in(accounts.implode())
    desk.change("account", which, balance="1" + pl.col("balance").str.strip_prefix("-"))
    holding = desk.frames["account_holder"].filter(which)["customer_id"].drop_nulls()
    desk.note("balance", holding, seen=True)


def account_opened(desk: Desk, number: int) -> None:
    """Accounts are opened."""
    users = desk.take(desk.owners("account"), number)
    ids = users.to_numpy()
    made = new_accounts(desk.random, ids, np.full(len(ids), ACCOUNTS_MADE + 1 + desk.day))
    desk.insert("account", made)
    desk.insert("account_holder", holders(made["account_no"], ids, "OWNER"))
    desk.note("account opened", users, seen=True)


def account_moved(desk: Desk, number: int) -> None:
    """Accounts, with their loans, go to another owner: the table of holders has no cursor."""
    rows = desk.frames["account_holder"]
    alone = rows.filter(~pl.col("account_no").is_duplicated() & (pl.col("role") == "OWNER"))
    givers = desk.take(alone[OWNER].unique(), number)
    takers = desk.take(desk.owners("account"), len(givers))
    givers = givers.head(len(takers))
    accounts = alone.filter(of(givers)).group_by(OWNER).agg(pl.col("account_no").min())
    to = pl.DataFrame({OWNER: givers, "_to": takers}).join(accounts, on=OWNER)
    new_owner = pl.col("account_no").replace_strict(
        to["account_no"], to["_to"], default=pl.col(OWNER)
    )
    which = pl.col("account_no").is_in(to["account_no"].implode())
    desk.frames["account_holder"] = desk.frames["account_holder"].with_columns(
        pl.when(which).then(new_owner).otherwise(pl.col("customer_id")).alias("customer_id"),
        new_owner.alias(OWNER),
    )
    for table in ("account", "loan"):
        desk.frames[table] = desk.frames[table].with_columns(new_owner.alias(OWNER))
    loans = desk.frames["loan"]
    loan_owner = pl.col("loan_id").replace_strict(
        loans["loan_id"], loans[OWNER], default=pl.col(OWNER)
    )
    desk.frames["schedule"] = desk.frames["schedule"].with_columns(loan_owner.alias(OWNER))
    desk.note("account moved", [*givers, *takers], seen=False)
