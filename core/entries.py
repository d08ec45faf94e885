"""The smaller entries of a pipeline file: profile, sources, columns, fields, lookups.

``core.pipeline`` puts them together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from core.values import ColumnType, parse_type

RESERVED = "__"
"""Names of columns that start so belong to the pipeline."""

USER_ID_COLUMN = "__user_id"
"""The user that a row belongs to, as ``where`` and ``derive`` may name it."""


class Entry(BaseModel):
    """The base of every entry: unknown keys are refused, objects are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def named(key: str) -> BeforeValidator:
    """A validator that reads a plain text as an entry with just this key."""
    return BeforeValidator(lambda given: {key: given} if isinstance(given, str) else given)


def mapping(given: Any) -> Any:
    """Reads a list of names as a mapping of names to empty entries, and null as an empty entry."""
    if isinstance(given, list):
        return {name: {} for name in given}
    if isinstance(given, dict):
        return {name: {} if entry is None else entry for name, entry in given.items()}
    return given


def _sequence(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_sequence)]
Where = str | dict[str, Any]


class UserId(Entry):
    """How user ids look, in every source and in the key; every dataset's id is cast to it."""

    type: Literal["integer", "string", "uuid", "objectid"] = Field(
        "string", description="The one type of user ids; a JSON number only for `integer`."
    )
    pattern: str | None = Field(
        None, description="A regular expression that the whole id must match, once cast."
    )
    trim: bool = Field(False, description="Take white space at both ends away.")
    case: Literal["lower", "upper"] | None = Field(None, description="Fold the case.")
    pad: int | None = Field(None, ge=1, description="Fill with zeros on the left to this length.")


class Profile(Entry):
    """The unified profile."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="The profile's name; part of the control keys, so several can share a Redis.",
    )
    key: str = Field("profile:{user_id}", description="The key of a profile in Redis.")
    credential_key: str = Field(
        "credential:{user_id}", description="The key of the document with the `secret` fields."
    )
    anchor: str = Field(description="The dataset that decides which users exist.")
    user_id: UserId = Field(default_factory=UserId, description="The type of user ids.")
    schema_version: int = Field(1, ge=1, description="Written into every document's `_meta`.")
    buckets: int = Field(
        64, ge=1, le=16384, description="Into how many fixed slices the users are divided."
    )


class Source(Entry):
    """One product line's database."""

    kind: str = Field(description="The kind of connector: `sql` or `mongodb`.")
    url: SecretStr = Field(description="Where it is; write secrets as `${NAME}`.")
    database: str | None = Field(None, description="The database, where the URL does not name it.")
    db_schema: str | None = Field(
        None, alias="schema", description="The SQL schema of the tables, where not the default."
    )
    connect_timeout_s: float = Field(10, gt=0, description="Seconds to wait for a connection.")
    statement_timeout_s: float = Field(
        3600, gt=0, description="Seconds that one read may take on the server."
    )
    lock_timeout_s: float = Field(30, gt=0, description="Seconds to wait for a lock.")
    on_failure: Literal["fail", "carry_forward"] = Field(
        "fail",
        description="Where the source is down: `fail` the run, or `carry_forward` its sections "
        "as they stand in Redis, marked in `_meta.stale`.",
    )
    max_age_s: float = Field(
        86_400,
        gt=0,
        description="With `carry_forward`: how old in seconds the carried values may become; then "
        "the run fails.",
    )
    max_lag_s: float = Field(
        3600,
        ge=0,
        description="How many seconds a replica that is read may be behind its primary.",
    )
    lag_s: float = Field(
        600,
        ge=0,
        description="Seconds after which a row's `cursor` may still become visible (late "
        "commits): an incremental run looks back this far beyond the last one.",
    )


class Column(Entry):
    """A column that is read, and what it is read as."""

    type: str | None = Field(
        None,
        description="The type; derived from the column for SQL sources, needed for MongoDB. "
        "`[]` behind it makes an array.",
    )
    path: str | None = Field(
        None,
        description="Where it stands in the source, if not under its own name; "
        "dots lead into documents.",
    )
    format: str | None = Field(
        None, description="How dates or times are written in a text or number, as in `%y%m%d`."
    )
    timezone: str | None = Field(
        None, description="The zone of times without one (IANA name); else the dataset's."
    )
    scale: int | None = Field(
        None, ge=0, le=18, description="Digits after the point of a `decimal`."
    )
    trim: bool = Field(False, description="Take white space at both ends away.")
    case: Literal["lower", "upper"] | None = Field(None, description="Fold the case.")
    null_values: Names = Field((), description="Texts that stand for null (compared after `trim`).")

    @field_validator("type")
    @classmethod
    def _known_type(cls, given: str | None) -> str | None:
        if given is not None:
            parse_type(given)
        return given

    @property
    def declared(self) -> ColumnType | None:
        """The declared type with its scale, or None where it comes from the source."""
        if self.type is None:
            return None
        parsed = parse_type(self.type)
        if parsed.kind == "decimal" and self.scale is not None:
            return ColumnType("decimal", 38, self.scale)
        return parsed


class FieldEntry(Entry):
    """A field that is written, from one of: a column, a constant, an expression, an aggregate."""

    column: str | None = Field(None, description="The column; default: the field's own name.")
    constant: str | int | float | bool | None = Field(None, description="The same for every row.")
    derive: str | None = Field(
        None, description="An SQL expression over the columns (over the fields, if aggregated)."
    )
    aggregate: Literal["count", "sum", "min", "max", "latest"] | None = Field(
        None, description="One value for all rows of the user or element."
    )
    of: str | None = Field(None, description="The column that is aggregated.")
    by: str | None = Field(None, description="For `latest`: the column that tells which is latest.")
    where: Where | None = Field(None, description="Only these rows are aggregated.")
    field_class: Literal["secret", "personal", "public"] = Field(
        "personal",
        alias="class",
        description="Who may see it: `secret` goes to the credential document; "
        "`personal` is masked in logs, reports and previews; `public` is not.",
    )


class Lookup(Entry):
    """A reference table that belongs to no user, joined by key; its columns are `name.column`."""

    dataset: str = Field(description="The reference dataset (one without `into`).")
    on: str = Field(description="The column of this dataset.")
    key: str = Field(description="The column of the reference dataset; must be unique there.")


class UserLink(Entry):
    """The user id by way of links."""

    link: Names = Field(description="The link, or several to follow one after the other.")
    on: Names = Field(description="The column (or columns) with the first link's key.")


class Transform(Entry):
    """A Python hook: takes and gives a DataFrame (pandas, Arrow-backed), a chunk at a time."""

    function: str = Field(
        pattern=r"^[\w.]+:\w+$",
        description="`module:function`; modules beside the pipeline file are found.",
    )
    columns: dict[str, Annotated[Column, named("type")]] = Field(
        default_factory=dict, description="The columns that it adds, with their types."
    )
