"""The desk at which a block is moved on by a day: who is free to change, and what has changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from devstack.bank.columns import Random
from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.planting import clean


@dataclass
class Moved:
    """What a day changed, by user id.

    Attributes:
        changed: by kind of change, the users whose profile is another one now.
        seen: the users of whom a row with an updated cursor tells: what an incremental run finds.
        created: users who have a profile for the first time.
        departed: users who are no longer there.
        newly_held: users whose profile is held from now on.
    """

    changed: dict[str, set[int]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    created: set[int] = field(default_factory=set)
    departed: set[int] = field(default_factory=set)
    newly_held: set[int] = field(default_factory=set)

    @property
    def updated(self) -> set[int]:
        """The users whose profile was there before, and is another one now."""
        gone = self.created | self.departed | self.newly_held
        return set().union(*self.changed.values()) - gone

    def add(self, other: Moved) -> None:
        """Adds another block's."""
        for kind, users in other.changed.items():
            self.changed.setdefault(kind, set()).update(users)
        self.seen |= other.seen
        self.created |= other.created
        self.departed |= other.departed
        self.newly_held |= other.newly_held


class Desk:
    """A block on its way to the next day.

    A customer is taken for one change at most, so that each kind of change has users of its own.
    """

    def __init__(
        self, frames: Frames, free: pl.Series, random: Random, day: int, at: datetime
    ) -> None:
        """A desk with all drawers shut.

        Args:
            frames: the block's rows; replaced, never changed.
            free: the ids of the customers who may change.
            random: decides who does.
            day: counted from 1.
            at: the time of change that rows bear.
        """
        self.frames, self.random, self.day, self.at = dict(frames), random, day, at
        self.moved = Moved()
        self.victims: set[int] = set()
        self._free = free.gather(random.permutation(len(free)))

    def take(self, candidates: pl.Series, number: int) -> pl.Series:
        """At most so many of the candidates who are free; they are free no longer."""
        found = self._free.filter(self._free.is_in(candidates.implode())).head(number)
        self._free = self._free.filter(~self._free.is_in(found.implode()))
        return found

    def owners(self, table: str, which: pl.Expr | None = None) -> pl.Series:
        """The customers who have such rows."""
        rows = self.frames[table] if which is None else self.frames[table].filter(which)
        return rows[OWNER].unique(maintain_order=True)

    def change(self, table: str, which: pl.Expr, **columns: pl.Expr) -> None:
        """Changes rows; where the table has a time of change, it is now."""
        values = dict(columns)
        if "updated_at" in self.frames[table].columns:
            values.setdefault("updated_at", self.now)
        self.frames[table] = self.frames[table].with_columns(
            pl.when(which).then(value).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    def delete(self, table: str, which: pl.Expr) -> None:
        """Deletes rows; nothing tells of it."""
        self.frames[table] = self.frames[table].filter(~which.fill_null(value=False))

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Adds rows, changed now."""
        if "updated_at" in rows.columns:
            rows = rows.with_columns(self.now.alias("updated_at"))
        here = self.frames[table]
        made = clean(rows).select(here.columns).cast(here.schema)
        self.frames[table] = pl.concat([here, made])

    @property
    def now(self) -> pl.Expr:
        """The time of change, as rows bear it."""
        return pl.lit(self.at.replace(tzinfo=None)).cast(pl.Datetime("us"))

    @property
    def today(self) -> str:
        """The date of the change."""
        return self.at.date().isoformat()

    def note(self, kind: str, users: Iterable[int], *, seen: bool) -> None:
        """Keeps down whose profile a change concerns, and whether a cursor tells."""
        noted = set(users)
        self.moved.changed.setdefault(kind, set()).update(noted)
        if seen:
            self.moved.seen |= noted


def of(users: pl.Series) -> pl.Expr:
    """Whether a row was made for one of these customers."""
    return pl.col(OWNER).is_in(users.implode())


def first_of(rows: pl.DataFrame, users: pl.Series, key: str) -> pl.Series:
    """The least key that each of these customers has among the rows."""
    return rows.filter(of(users)).group_by(OWNER).agg(pl.col(key).min())[key]
