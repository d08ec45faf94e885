"""Moves the bank on by a day: about one in twenty customers changes, in every product line.

Some changes no cursor tells of: rows that are deleted, and links that lead elsewhere. Those of
the rows' owners are in ``changed`` but not in ``seen``: a nightly run finds them, an incremental
one can't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from devstack.bank import moves_core, moves_lines
from devstack.bank.book import Book, Move
from devstack.bank.core_rows import OWNER
from devstack.bank.desk import Desk, Moved, of
from devstack.bank.expected import expected_of
from devstack.bank.passwords import POOL, hashes
from devstack.bank.planting import MESS
from devstack.bank.state import BLOCK, State, opening_state, random_of, rows_of

_NEW_ID = 100_000_000
"""New customers' ids start here, by day."""

_IDS_A_DAY = 5_000_000
_ROOM = 2_000
"""New customers that a block may get in a day."""

_WRONG_HASH = ("empty hash", "password in clear", "unknown hash")

KINDS: Mapping[Callable[[Desk, int], None], float] = {
    moves_core.address: 0.08,
    moves_core.touched: 0.04,
    moves_core.email: 0.04,
    moves_core.email_behind: 0.006,
    moves_core.lock: 0.03,
    moves_core.login_lost: 0.005,
    moves_core.role_granted: 0.04,
    moves_core.role_revoked: 0.02,
    moves_core.balance: 0.12,
    moves_core.account_opened: 0.04,
    moves_core.account_moved: 0.02,
    moves_lines.reference_moved: 0.02,
    moves_lines.bought: 0.12,
    moves_lines.purchase_deleted: 0.03,
    moves_lines.card_blocked: 0.03,
    moves_lines.instalment_paid: 0.04,
    moves_lines.loan_granted: 0.02,
    moves_lines.loan_deleted: 0.02,
    moves_lines.theme: 0.04,
    moves_lines.device_added: 0.03,
    moves_lines.device_removed: 0.02,
    moves_lines.wish: 0.04,
    moves_lines.income: 0.03,
    moves_lines.portfolio: 0.03,
}
"""Each kind of change, with its share of the customers that change."""

_ALL_LINES = ("customer", "account", "card", "purchase", "devices", "wish_item")
_RARE = 0.01
"""Kinds of at most this share are left out where they would be less than half a customer."""

_LITTLE = 8
"""Rows of a customer who has little."""

_PASSWORD, _NEW, _DEPARTED, _ANCHOR_GONE = 0.03, 0.04, 0.03, 0.01


@dataclass
class Moves:
    """A block before and after a day."""

    before: State
    after: State
    moved: Moved


def state_on(book: Book, block: int) -> State:
    """A block as it is after all of the book's moves."""
    state = opening_state(book.seed, block, book.users)
    for move in book.moves:
        state = moved_on(state, book.seed, block, move).after
    return state


def moved_on(state: State, seed: int, block: int, move: Move) -> Moves:
    """A block moved on by a day."""
    random = random_of(seed, block, 1 + move.day)
    customers = state.frames["customer"]
    ids = customers[OWNER].unique(maintain_order=True)
    free = ids.filter(~ids.is_in(pl.Series(list(state.victims), dtype=pl.Int64).implode()))
    desk = Desk(state.frames, free, random, move.day, move.moment)
    number = move.share * len(ids)
    before = expected_of(state.frames)

    def part(share: float) -> int:
        least = 1 if share > _RARE and number >= len(KINDS) else 0
        return max(round(share * number), least)

    for kind, share in KINDS.items():
        kind(desk, part(share))
    moves_core.password(desk, part(_PASSWORD), seed)
    _depart(desk, part(_DEPARTED))
    _anchor_gone(desk, part(_ANCHOR_GONE))
    _mend(desk, before.held, seed)
    _arrive(desk, part(_NEW), seed, block)
    after = expected_of(desk.frames)
    there = set(after.users)
    moved = desk.moved
    moved.changed = {kind: users & there for kind, users in moved.changed.items()}
    moved.seen &= there
    return Moves(state, State(desk.frames, state.victims | desk.victims), moved)


def _depart(desk: Desk, number: int) -> None:
    """Customers leave, with all their rows; those who share an account stay."""
    holders = desk.frames["account_holder"]
    shared = holders.filter(pl.col("account_no").is_duplicated())[OWNER]
    alone = desk.owners("customer", ~pl.col(OWNER).is_in(shared.implode()))
    users = desk.take(alone, number)
    for table in desk.frames:
        desk.delete(table, of(users))
    desk.moved.departed |= set(users)


def _anchor_gone(desk: Desk, number: int) -> None:
    """Customers leave, and what the product lines have of them stays behind.

    Only such as had little: the rows of one big spender would stop a run at its guard.
    """
    had = [desk.frames[table].select(OWNER) for table in _ALL_LINES]
    counts = pl.concat(had).group_by(OWNER).len().filter(pl.col("len") <= _LITTLE)
    lent = pl.col(OWNER).is_in(desk.frames["loan"][OWNER].implode())
    users = desk.take(counts.filter(~lent)[OWNER].sort(), number)
    desk.delete("customer", of(users))
    desk.moved.departed |= set(users)
    desk.victims |= set(users)


def _mend(desk: Desk, held: Mapping[int, str], seed: int) -> None:
    """Someone finds one login that could not be used, and mends it."""
    wrong = desk.frames["login"].filter(pl.col(MESS).is_in(_WRONG_HASH))
    fit = [u for u in wrong[OWNER] if held.get(u) == "core.login: unknown_hash_scheme"]
    users = pl.Series(fit[:1], dtype=pl.Int64)
    pool = pl.Series(hashes(seed))
    right = pl.col("password_no").replace_strict(pl.Series(range(POOL)), pool)
    desk.change("login", of(users), password_hash=right, _mess=pl.lit(None, pl.String))
    desk.moved.created |= set(users)
    desk.moved.seen |= set(users)


def _arrive(desk: Desk, number: int, seed: int, block: int) -> None:
    """New customers come, with rows in all product lines."""
    first = _NEW_ID + desk.day * _IDS_A_DAY + block * _ROOM
    ids = first + np.arange(min(number, _ROOM))
    for table, rows in rows_of(desk.random, ids, seed).items():
        desk.insert(table, rows)
    desk.moved.created |= set(ids.tolist())
    desk.moved.seen |= set(ids.tolist())


assert BLOCK // 10 >= _ROOM
