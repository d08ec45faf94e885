"""The state of a block of customers: all their rows, in all product lines, with the messes.

Blocks are independent of each other and of the number of customers, and the same for the same
seed: a bank of any size is made block by block, and made again where the next day needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from devstack.bank import messes
from devstack.bank.cards_rows import cards_rows
from devstack.bank.columns import Integers, Random
from devstack.bank.core_rows import OWNER, Frames, core_rows
from devstack.bank.engagement_rows import engagement_rows
from devstack.bank.lending_rows import lending_rows
from devstack.bank.planting import Mess, clean, plant
from devstack.bank.words import ODD_NAMES

BLOCK = 20_000
"""Customers of a block."""

FIRST_ID = 10_000_000
NEIGHBOUR = "_neighbour"

_SHARED_EMAIL = 0.0006
_FEW_PURCHASES, _SHORT = 8, 8
"""What befalls a card or a loan befalls its purchases or instalments: only those with few are
spoilt."""

_ODD_NAMES = tuple(
    Mess(f"odd name {number}", None, {"name": pl.lit(name)})
    for number, name in enumerate(ODD_NAMES)
)


@dataclass
class State:
    """A block's rows by table, and the customers whom some mess concerns."""

    frames: Frames
    victims: set[int] = field(default_factory=set)


def random_of(seed: int, *places: int) -> Random:
    """The randomness of one place of the bank."""
    return np.random.default_rng([seed, *places])


def blocks_of(users: int) -> int:
    """How many blocks a bank of so many customers has."""
    return -(-users // BLOCK)


def opening_state(seed: int, block: int, users: int) -> State:
    """A block as it is on the day of the opening."""
    ids = FIRST_ID + np.arange(block * BLOCK, min((block + 1) * BLOCK, users))
    frames = rows_of(random_of(seed, block), ids, seed, _SHARED_EMAIL)
    state = State(frames, _sharers(frames["customer"]))
    _plant_all(state, random_of(seed, block, 1))
    return state


def rows_of(random: Random, ids: Integers, seed: int, shared: float = 0.0) -> Frames:
    """All rows of new customers, without a mess.

    Args:
        random: decides on everything but the hashes.
        ids: of the customers.
        seed: of the hashes.
        shared: the share of customers who have the e-mail address of another.
    """
    core = core_rows(random, ids, seed)
    core["customer"] = _sharing(core["customer"], random, shared)
    frames = core | cards_rows(random, ids)
    frames |= lending_rows(random, core["account"]) | engagement_rows(random, core["customer"])
    return {name: clean(frame) for name, frame in frames.items()}


def _sharing(customers: pl.DataFrame, random: Random, share: float) -> pl.DataFrame:
    """Customers of whom some have another's e-mail address, in capitals."""
    pairs = round(customers.height * share)
    if not pairs:
        return customers
    with_mail = np.flatnonzero(customers["email"].is_not_null().to_numpy())
    first, second = random.permutation(with_mail)[: 2 * pairs].reshape(2, -1)
    capitals = customers["email"].gather(first).str.to_uppercase()
    return customers.with_columns(customers["email"].clone().scatter(second, capitals))


def _sharers(customers: pl.DataFrame) -> set[int]:
    folded = customers["email"].str.to_lowercase()
    return set(customers.filter(folded.is_duplicated() & folded.is_not_null())[OWNER].to_list())


def _neighbours(holders: pl.DataFrame) -> pl.Series:
    """For each row the owner of another: the one a place on whose owner is not the same."""
    owners = holders[OWNER].to_numpy()
    later = np.roll(owners, -1)
    for _ in range(60):
        later = np.where(later == owners, np.roll(later, -1), later)
    return pl.Series(NEIGHBOUR, later)


def _plant_all(state: State, random: Random) -> None:
    """Plants every mess; shares are so that no dataset comes near what the guard lets through."""
    frames = state.frames

    def put(table: str, kinds: Sequence[Mess], share: float, fit: pl.Series | None = None) -> None:
        made = plant(frames[table], kinds, share, random, fit)
        frames[table] = made.rows
        state.victims |= made.victims

    put("customer", messes.CUSTOMER, 0.003)
    put("customer", _ODD_NAMES, 0.01)
    put("login", messes.LOGIN, 0.004)
    put("access", messes.ACCESS, 0.001)
    put("customer_role", messes.ROLE, 0.002)
    put("feature", messes.FEATURE, 0.003)
    is_short = frames["loan"]["instalments"] <= _SHORT
    short = frames["loan"].filter(is_short)["account_no"].implode()
    lent = frames["loan"]["account_no"].implode()
    put("account", messes.ACCOUNT, 0.004, ~frames["account"]["account_no"].is_in(lent))
    put("account", messes.ACCOUNT_OF_LOAN, 0.0002, frames["account"]["account_no"].is_in(short))
    for table in ("account_holder", "card_holder"):
        frames[table] = frames[table].with_columns(_neighbours(frames[table]))
    holders = frames["account_holder"]
    of_loan = holders["account_no"].is_in(lent)
    put("account_holder", messes.HOLDER, 0.003, ~of_loan)
    of_loan = frames["account_holder"]["account_no"].is_in(short)
    owns = frames["account_holder"]["role"] == "OWNER"
    put("account_holder", messes.HOLDER_OF_LOAN, 0.0003, of_loan & owns)
    spends = frames["purchase"].group_by(OWNER).len().filter(pl.col("len") > _FEW_PURCHASES)
    heavy = spends[OWNER].implode()
    put("card_holder", messes.CARD_HOLDER, 0.002, ~frames["card_holder"][OWNER].is_in(heavy))
    for table in ("account_holder", "card_holder"):
        frames[table] = frames[table].drop(NEIGHBOUR)
    put("card", messes.CARD, 0.003, ~frames["card"][OWNER].is_in(heavy))
    put("purchase", messes.PURCHASE, 0.003)
    put("loan", messes.LOAN, 0.003, is_short)
    put("schedule", messes.SCHEDULE, 0.0015)
    put("preferences", messes.PREFERENCES, 0.002)
    put("contact", messes.CONTACT, 0.005)
    put("wish_list", messes.WISH_LIST, 0.002)
    put("wish_item", messes.WISH_ITEM, 0.003)
    put("devices", messes.DEVICE, 0.003)
    put("demographics", messes.DEMOGRAPHICS, 0.003)
    put("portfolio", messes.PORTFOLIO, 0.004)
