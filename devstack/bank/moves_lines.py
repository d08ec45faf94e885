"""What a day changes in cards, lending and engagement."""

from __future__ import annotations

import numpy as np
import polars as pl

from devstack.bank import words
from devstack.bank.cards_rows import PURCHASES_MOST, new_purchases
from devstack.bank.core_rows import OWNER
from devstack.bank.desk import Desk, first_of, of
from devstack.bank.engagement_rows import (
    DEVICES_MADE,
    DEVICES_MOST,
    ITEMS_MADE,
    new_devices,
    new_wishes,
)
from devstack.bank.lending_rows import new_loans


def reference_moved(desk: Desk, number: int) -> None:
    """Card-holder references, with cards and purchases, go to another customer."""
    refs = desk.frames["card_holder"]
    givers = desk.take(refs[OWNER].unique(), number)
    takers = desk.take(desk.owners("customer"), len(givers))
    givers = givers.head(len(takers))
    first = refs.filter(of(givers)).group_by(OWNER).agg(pl.col("holder_ref").min())
    to = pl.DataFrame({OWNER: givers, "_to": takers}).join(first, on=OWNER)
    goes = pl.col("holder_ref").is_in(to["holder_ref"].implode())
    owner = pl.col("holder_ref").replace_strict(to["holder_ref"], to["_to"], default=pl.col(OWNER))
    desk.change("card_holder", goes, customer_id=owner)
    for table in ("card_holder", "card", "purchase"):
        desk.frames[table] = desk.frames[table].with_columns(owner.alias(OWNER))
    desk.note("card reference moved", givers, seen=False)
    desk.note("card reference moved", takers, seen=True)


def bought(desk: Desk, number: int) -> None:
    """Purchases come in."""
    users = desk.take(desk.owners("card"), number)
    card_ids = first_of(desk.frames["card"], users, "card_id")
    cards = desk.frames["card"].filter(pl.col("card_id").is_in(card_ids.implode()) & of(users))
    rows = cards.height
    at = np.full(rows, int(desk.at.timestamp()))
    made = new_purchases(desk.random, cards[OWNER].to_numpy(), np.zeros(rows, int), at * 0, at)
    serial = PURCHASES_MOST // 2 + desk.day
    number_of = cards["card_id"].str.strip_prefix("C").cast(pl.Int64)
    made = made.with_columns(
        (number_of * PURCHASES_MOST + serial).alias("purchase_id"),
        cards["card_id"],
        cards["holder_ref"],
    )
    desk.insert("purchase", made)
    desk.note("purchase", cards[OWNER], seen=True)


def purchase_deleted(desk: Desk, number: int) -> None:
    """Each one's last purchase is deleted."""
    users = desk.take(desk.owners("purchase"), number)
    last = desk.frames["purchase"].filter(of(users)).sort("purchased_at", "purchase_id")
    gone = last.group_by(OWNER).last()["purchase_id"]
    desk.delete("purchase", pl.col("purchase_id").is_in(gone.implode()))
    desk.note("purchase deleted", users, seen=False)


def card_blocked(desk: Desk, number: int) -> None:
    """Cards are blocked."""
    open_cards = pl.col("status") != "blocked"
    users = desk.take(desk.owners("card", open_cards), number)
    desk.change("card", of(users) & open_cards, status=pl.lit("blocked"))
    desk.note("card blocked", users, seen=True)


def instalment_paid(desk: Desk, number: int) -> None:
    """The next instalment of a loan is paid."""
    unpaid = pl.col("paid_on").is_null()
    users = desk.take(desk.owners("schedule", unpaid), number)
    first = desk.frames["schedule"].filter(unpaid & of(users)).sort("loan_id", "instalment")
    due = first.group_by(OWNER, maintain_order=True).first()
    key = pl.format("{}/{}", "loan_id", "instalment")
    paid = key.is_in(due.select(key.alias("key"))["key"].implode())
    desk.change("schedule", paid, paid_on=pl.lit(desk.today))
    desk.note("instalment paid", users, seen=True)


def loan_granted(desk: Desk, number: int) -> None:
    """Loans are granted on accounts without one."""
    lent = pl.col("account_no").is_in(desk.frames["loan"]["account_no"].implode())
    bare = desk.frames["account"].filter(~lent)
    users = desk.take(bare[OWNER].unique(maintain_order=True), number)
    chosen = (
        bare.filter(of(users)).group_by(OWNER, maintain_order=True).agg(pl.col("account_no").min())
    )
    made = new_loans(desk.random, chosen["account_no"], chosen[OWNER].to_numpy(), desk.day)
    for table, rows in made.items():
        desk.insert(table, rows)
    desk.note("loan granted", users, seen=True)


def loan_deleted(desk: Desk, number: int) -> None:
    """Loans are deleted with all their instalments."""
    users = desk.take(desk.owners("loan"), number)
    gone = pl.col("loan_id").is_in(first_of(desk.frames["loan"], users, "loan_id").implode())
    desk.delete("loan", gone)
    desk.delete("schedule", gone)
    desk.note("loan deleted", users, seen=False)


def theme(desk: Desk, number: int) -> None:
    """Preferences change."""
    users = desk.take(desk.owners("preferences"), number)
    following = dict(zip(words.THEMES, words.THEMES[1:] + words.THEMES[:1], strict=True))
    desk.change("preferences", of(users), theme=pl.col("theme").replace_strict(following))
    # Who changed the address in core only is not found by it any more.
    found = _by_email(desk)
    desk.note("preferences", users.filter(users.is_in(found.implode())), seen=True)


def _by_email(desk: Desk) -> pl.Series:
    folded = pl.col("email").str.strip_chars().str.to_lowercase()
    known = desk.frames["customer"].select(folded, OWNER).drop_nulls()
    rows = desk.frames["preferences"].select(folded, OWNER)
    return rows.join(known, on=["email", OWNER], how="semi")[OWNER]


def device_added(desk: Desk, number: int) -> None:
    """Devices are added."""
    users = desk.take(desk.owners("customer"), number)
    numbers = np.full(len(users), DEVICES_MADE + 1 + desk.day % (DEVICES_MOST - DEVICES_MADE - 1))
    made = new_devices(desk.random, users.to_numpy(), numbers)
    desk.insert("devices", made.with_columns(last_seen_on=pl.lit(desk.today)))
    desk.note("device added", users, seen=True)


def device_removed(desk: Desk, number: int) -> None:
    """Each one's last device is removed."""
    users = desk.take(desk.owners("devices"), number)
    rows = desk.frames["devices"].filter(of(users))
    last = (
        rows.sort(["last_seen_on", "device_id"], descending=[True, False]).group_by(OWNER).first()
    )
    desk.delete("devices", pl.col("_id").is_in(last["_id"].implode()))
    desk.note("device removed", users, seen=False)


def wish(desk: Desk, number: int) -> None:
    """Wish lists grow."""
    users = desk.take(desk.owners("wish_list"), number)
    made = new_wishes(desk.random, users.to_numpy(), np.full(len(users), ITEMS_MADE + desk.day))
    desk.insert("wish_item", made.with_columns(added_on=pl.lit(desk.today)))
    desk.change("wish_list", of(users))
    desk.note("wish", users, seen=True)


def income(desk: Desk, number: int) -> None:
    """People earn more, or less."""
    users = desk.take(desk.owners("demographics"), number)
    following = dict(zip(words.INCOMES, words.INCOMES[1:] + words.INCOMES[:1], strict=True))
    desk.change(
        "demographics", of(users), income_band=pl.col("income_band").replace_strict(following)
    )
    desk.note("income", users, seen=True)


def portfolio(desk: Desk, number: int) -> None:
    """Portfolios are worth more."""
    users = desk.take(desk.owners("portfolio"), number)
    desk.change("portfolio", of(users), total_cents=pl.col("total_cents") + 12_345)
    desk.note("portfolio", users, seen=True)
