"""What passes between the rooms: queries, documents, counts and reports. Plain frozen objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.quarantine import Quarantine, Why
from core.values import ColumnType

BAD_COLUMN = "__bad"
"""A frame's column that names the column whose value the connector could not deliver, or null."""

ABSENT = "__absent."
"""Prefix of the boolean columns that tell where a document lacks a field."""

CANONICAL = "canonical"
"""A frame's attribute: the columns whose JSON text is as orjson prints it."""

EMPTY = "__empty"
"""A frame's boolean column, true where the array to unnest has no element; see ``Query.unnest``."""

Consistency = Literal["snapshot", "none"]


@dataclass(frozen=True)
class QueryColumn:
    """A column to read: its name in the frame, its path in the source, its declared type."""

    name: str
    path: str
    type: ColumnType | None


@dataclass(frozen=True)
class KeyFilter:
    """Only rows whose column, once cast, has one of these values (any item of an array column).

    ``column`` is the name of one of the query's columns. Where ``loose``, texts are compared
    without regard to case and to white space at their ends.
    """

    column: str
    values: tuple[int, ...] | tuple[str, ...]
    loose: bool = False


@dataclass(frozen=True)
class ChangeFilter:
    """Only rows whose column, once cast to a UTC timestamp, lies in ``[since, until)``."""

    column: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Query:
    """What a connector is asked for: some columns of the rows of one dataset.

    ``relation`` is the table or collection; ``text`` an SQL query in its place. With ``unnest``
    (the path of an array) each element becomes a row; paths below it mean the element's. A row
    whose array is empty, null or absent becomes one row with ``EMPTY`` true and the element's
    columns null.

    The filters ``keys`` (all of them) and ``changed`` promise that no row is missed, not that no
    other comes: a connector passes on what its source can judge, the reader filters exactly.
    """

    dataset: str
    relation: str
    columns: tuple[QueryColumn, ...]
    text: str | None = None
    unnest: str | None = None
    keys: tuple[KeyFilter, ...] = ()
    changed: ChangeFilter | None = None


@dataclass(frozen=True)
class BucketDocuments:
    """The documents of one bucket, as parallel lists in the order of their user ids.

    ``bodies`` and ``credentials`` are bodies as in ``core.document``; a credential is None for a
    user without secret fields. ``held`` maps users whose old document stays to the reason.
    """

    bucket: int
    user_ids: list[str]
    bodies: list[bytes]
    credentials: list[bytes | None]
    held: Mapping[str, str] = field(default_factory=dict)


@dataclass
class LoadCounts:
    """What became of the documents of some buckets."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    held: int = 0
    bytes_written: int = 0

    def __add__(self, other: LoadCounts) -> LoadCounts:
        return LoadCounts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__dict__}
        )


@dataclass
class RowCounts:
    """Where the rows of one dataset ended.

    ``rows + copies == placed + reference + sum(filtered) + sum(quarantined)``: ``copies`` are the
    rows added by arrays and by links that lead to several users; ``reference`` rows serve links
    and lookups only.
    """

    rows: int = 0
    copies: int = 0
    placed: int = 0
    reference: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    quarantine: Quarantine = field(default_factory=Quarantine)

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.rows + other.rows,
            self.copies + other.copies,
            self.placed + other.placed,
            self.reference + other.reference,
            self.filtered + other.filtered,
            self.quarantine + other.quarantine,
        )

    @property
    def quarantined(self) -> Counter[Why]:
        """How many rows can't be used, by reason and column."""
        return self.quarantine.counts

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        ends = (self.placed, self.reference, self.filtered.total(), self.quarantined.total())
        return self.rows + self.copies == sum(ends)


@dataclass(frozen=True)
class SourceRead:
    """How one source was read."""

    rows: int
    as_of: datetime
    consistency: Consistency
    seconds: float
