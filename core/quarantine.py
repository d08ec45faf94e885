"""Quarantine: what can't be used, counted by reason and column, and of each the first few kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from core.entries import USER_ID_COLUMN

KEPT_ROWS = 100_000
"""Of how many rows of a dataset, reason and column it is kept which they are."""

Why = tuple[str, str]
"""A reason, and the column to blame (or an empty text)."""


@dataclass
class Quarantine:
    """Rows, or users, that can't be used: how many, and which.

    ``counts`` has all of them. ``kept`` has of each reason the first few, as frames of texts: the
    columns that tell which row or user it is. Counting and keeping is one act: ``add``.
    """

    counts: Counter[Why] = field(default_factory=Counter)
    kept: dict[Why, list[pl.DataFrame]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_users(cls, reasons: Mapping[str, str]) -> Quarantine:
        """Users with a reason each."""
        made = cls()
        for reason in dict.fromkeys(reasons.values()):
            users = [user for user, why in reasons.items() if why == reason]
            made.add(reason, "", pl.DataFrame({USER_ID_COLUMN: users}))
        return made

    def add(self, reason: str, column: str, rows: pl.DataFrame) -> None:
        """Counts rows, and keeps them where there is room.

        Args:
            rows: columns of texts that tell which each one is.
        """
        if rows.height:
            self.counts[reason, column] += rows.height
            self._keep((reason, column), [rows])

    def __add__(self, other: Quarantine) -> Quarantine:
        made = Quarantine(self.counts + other.counts, {w: [*f] for w, f in self.kept.items()})
        for why, frames in other.kept.items():
            made._keep(why, frames)
        return made

    def _keep(self, why: Why, frames: Iterable[pl.DataFrame]) -> None:
        kept = self.kept.setdefault(why, [])
        room = KEPT_ROWS - sum(frame.height for frame in kept)
        for frame in frames:
            if room <= 0:
                return
            kept.append(frame.head(room))
            room -= frame.height
