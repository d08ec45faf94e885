"""Scope: the users that a run is about, and the rows that are theirs."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.records import RowCounts
from transforms.columns import USER_ID


@dataclass(frozen=True)
class Scope:
    """Everyone, or the users in ``users`` (column ``USER_ID``, unique), or in ``buckets``."""

    users: pl.DataFrame | None = None
    buckets: frozenset[int] | None = None

    @property
    def whole_buckets(self) -> bool:
        """Whether a bucket's users are all in it, or none."""
        return self.users is None

    def rows(
        self, rows: pl.DataFrame, bucket: pl.Series, counts: RowCounts
    ) -> tuple[pl.DataFrame, pl.Series]:
        """The rows of the users in scope with their buckets; the others end in ``counts``.

        Args:
            rows: with ``USER_ID``.
            bucket: the bucket of each row.
        """
        if self.users is not None:
            mine = rows[USER_ID].is_in(self.users[USER_ID].implode())
        elif self.buckets is not None:
            mine = bucket.is_in(sorted(self.buckets))
        else:
            return rows, bucket
        counts.filtered["not_selected"] += rows.height - int(mine.sum())
        return rows.filter(mine), bucket.filter(mine)


EVERYONE = Scope()
