"""Scope: the users that a run is about, and the rows that are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from core.pseudonym import pseudonym
from core.records import RowCounts
from transforms.columns import USER_ID
from transforms.slots import SLOTS, buckets_of

_ID_ALONE = "{user_id}"


@dataclass(frozen=True)
class Suppressed:
    """Users who were forgotten, told by keyed hashes of their ids.

    ``slots`` has for each hash the slot of the id (``slot_of``): of all users only those in one
    of these slots are hashed.
    """

    key: bytes = field(default=b"", repr=False)
    slots: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.slots)

    def __contains__(self, user_id: str) -> bool:
        return self.slots != {} and pseudonym(self.key, user_id) in self.slots

    def among(self, users: pl.Series) -> list[str | int]:
        """Those of the users (unique or not) who are suppressed."""
        users = users.unique()
        slots = buckets_of(users, _ID_ALONE, SLOTS)
        near = users.filter(slots.is_in(sorted(set(self.slots.values()))))
        return [user for user in near.to_list() if str(user) in self]


def slot_of(user_id: str) -> int:
    """The slot of an id alone; no pipeline file changes it."""
    return int(buckets_of(pl.Series([user_id], dtype=pl.String), _ID_ALONE, SLOTS)[0])


NOBODY = Suppressed()


@dataclass(frozen=True)
class Scope:
    """Everyone, or the users in ``users`` (column ``USER_ID``, unique), or in ``buckets``.

    Suppressed users stay among them, so that a document of theirs is removed; they have no rows.
    """

    users: pl.DataFrame | None = None
    buckets: frozenset[int] | None = None
    suppressed: Suppressed = NOBODY

    @property
    def everyone(self) -> bool:
        """Whether nobody is left out."""
        return self.users is None and self.buckets is None

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
        if self.suppressed and (gone := self.suppressed.among(rows[USER_ID])):
            stays = ~rows[USER_ID].is_in(gone)
            counts.filtered["suppressed"] += rows.height - int(stays.sum())
            rows, bucket = rows.filter(stays), bucket.filter(stays)
        if self.users is not None:
            mine = rows[USER_ID].is_in(self.users[USER_ID].implode())
        elif self.buckets is not None:
            mine = bucket.is_in(sorted(self.buckets))
        else:
            return rows, bucket
        counts.filtered["not_selected"] += rows.height - int(mine.sum())
        return rows.filter(mine), bucket.filter(mine)


EVERYONE = Scope()
