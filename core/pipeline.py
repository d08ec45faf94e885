"""What a pipeline file may say: the models, each key with its meaning and its default.

The JSON Schema and docs/pipeline-file.md are generated from here. Rules that need more than one
entry to judge (names that must exist, places that must not overlap) are in ``core.check``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from core.entries import (
    RESERVED,
    USER_ID_COLUMN,
    Column,
    Entry,
    FieldEntry,
    Lookup,
    Names,
    Profile,
    Source,
    Transform,
    UserId,
    UserLink,
    Where,
    mapping,
    named,
)
from core.index import Index
from core.into import parse_into
from core.reading import Reading

__all__ = [
    "RESERVED",
    "USER_ID_COLUMN",
    "Column",
    "Dataset",
    "Entry",
    "FieldEntry",
    "Guard",
    "Index",
    "Link",
    "Lookup",
    "Names",
    "Pipeline",
    "Profile",
    "Source",
    "Survivorship",
    "Transform",
    "UserId",
    "UserLink",
    "Where",
]


class Dataset(Entry):
    """One table, query or collection of a source, under the name `source.dataset`."""

    table: str | None = Field(None, description="The SQL table; default: the dataset's name.")
    query: str | None = Field(None, description="An SQL query instead of a table.")
    collection: str | None = Field(
        None, description="The MongoDB collection; default: the dataset's name."
    )
    unnest: str | None = Field(
        None, description="An array column: each of its elements becomes a row."
    )
    columns: Annotated[dict[str, Annotated[Column, named("type")]], BeforeValidator(mapping)] = (
        Field(default_factory=dict, description="What is read, and as what type.")
    )
    timezone: str | None = Field(None, description="The zone of times that have none (IANA name).")
    where: Where | None = Field(
        None,
        description="Which rows count: `column: value`, `column: [values]`, or an SQL condition. "
        "`__user_id` is the user that the row was led to.",
    )
    transform: Annotated[Transform, named("function")] | None = Field(
        None, description="A Python hook, `module:function`."
    )
    lookups: dict[str, Lookup] = Field(
        default_factory=dict, description="Reference tables to join."
    )
    user_id: str | UserLink | None = Field(
        None, description="The column with the user id, or the links that lead to it."
    )
    into: str | None = Field(
        None, description="Where in the profile the rows go; without it they are for reference."
    )
    fields: Annotated[
        dict[str, Annotated[FieldEntry, named("column")]], BeforeValidator(mapping)
    ] = Field(
        default_factory=dict,
        description="What is written, in this order; dots make objects. Default: all `columns`.",
    )
    value: str | None = Field(
        None, description="For a list of plain values: the column, instead of `fields`."
    )
    primary_key: Names = Field((), description="The columns that tell a row from all others.")
    order_by: Names = Field(
        (), description="The order of a list, as in `date desc`; of an object: the first row wins."
    )
    limit: int | None = Field(None, ge=1, description="How many elements of a list are kept.")
    empty: Literal["default", "null", "absent", "list", "object"] = Field(
        "default",
        description="What stands where a user has no rows; default: `[]` for lists, else null.",
    )
    required: bool = Field(
        False, description="A bad or missing row holds the user: the old document stays, marked."
    )
    orphans: Literal["quarantine", "filter"] = Field(
        "quarantine", description="What happens to rows that lead to no user or no element."
    )
    min_rows: int = Field(
        1, ge=0, description="Fewer rows than this stop the run: missing is not empty."
    )
    cursor: str | None = Field(None, description="The column that tells when a row last changed.")

    @field_validator("into")
    @classmethod
    def _parses(cls, given: str | None) -> str | None:
        if given is not None:
            parse_into(given)
        return given


class Link(Entry):
    """A crosswalk: how a dataset's key leads to the user id, or to the next link's key."""

    dataset: str = Field(description="The dataset whose rows are the crosswalk.")
    from_: Names = Field(alias="from", description="The key's column or columns; may be an array.")
    to: Names = Field(description="The user id's column, or the next link's key; may be an array.")
    where: Where | None = Field(None, description="Only these rows lead anywhere.")
    cardinality: Literal["one", "many"] = Field(
        "one",
        description="`one`: a key that leads to two is ambiguous, its rows are quarantined; "
        "`many`: its rows belong to each of them.",
    )
    case_insensitive: bool = Field(False, description="Compare keys without regard to case.")
    columns: Names = Field(
        (), description="Columns of the link row to bring along, as `link.column`."
    )


class Survivorship(Entry):
    """Which dataset wins for a field that several feed."""

    prefer: Names = Field(description="Sources or datasets, the preferred first.")
    policy: Literal["first_non_null", "latest"] = Field(
        "first_non_null",
        description="`latest` compares the datasets' `cursor`, then follows `prefer`.",
    )


class Guard(Entry):
    """What stops a run before its first write."""

    max_quarantined_share: float = Field(
        0.01, ge=0, le=1, description="Of each dataset's rows, the share that may be unusable."
    )
    max_row_drop: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The share of rows that a dataset may have lost since the last good runs "
        "(their median).",
    )
    max_removed: int = Field(50, ge=0, description="How many users a run may always remove.")
    max_removed_share: float = Field(
        0.005, ge=0, le=1, description="Of the users in Redis, the share that a run may remove."
    )
    max_changed_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Of the documents in Redis, the share that may change at once, estimated "
        "from the first buckets; not judged where the pipeline file has changed since the last "
        "good run, nor below 1,000 documents.",
    )


class Pipeline(Entry):
    """A whole pipeline file."""

    profile: Profile
    sources: dict[str, Source] = Field(min_length=1)
    links: dict[str, Link] = Field(default_factory=dict)
    datasets: dict[str, Dataset] = Field(min_length=1)
    survivorship: dict[str, Annotated[Survivorship, named("prefer")]] = Field(
        default_factory=dict, description="By the field's path, as in `identity.email`."
    )
    guard: Guard = Field(default_factory=Guard)
    index: Index | None = Field(None, description="The search index over the profiles, if any.")

    @property
    def fingerprint(self) -> str:
        """A hash of what shapes the documents: another one means that all may change."""
        text = self.model_dump_json(exclude={"sources", "guard", "index"})
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def reading(self) -> Reading:
        """The parts that reading profiles needs."""
        return Reading(profile=self.profile, index=self.index)

    def source_of(self, dataset: str) -> str:
        """The name of a dataset's source: what stands before the dot."""
        return dataset.partition(".")[0]
