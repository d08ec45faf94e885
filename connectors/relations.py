"""Where a query's columns stand in a relation that has columns: the same for every SQL source."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.sql.compiler import IdentifierPreparer

from core.errors import SourceDrift
from core.records import Query


@dataclass(frozen=True)
class Place:
    """A source column and the steps from there into its JSON.

    With ``element`` the steps begin at the element of the query's ``unnest``.
    """

    column: str
    steps: tuple[str, ...] = ()
    element: bool = False


@dataclass(frozen=True)
class Places:
    """The place of each column of a query, in order, and of the array to unnest."""

    columns: tuple[Place, ...]
    array: Place | None

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The source's columns that are needed, each once."""
        places = (*self.columns, *((self.array,) if self.array else ()))
        return tuple(dict.fromkeys(place.column for place in places))


def find_places(source: str, query: Query, available: Collection[str]) -> Places:
    """Where the columns of the query stand among those that the relation has.

    Raises:
        SourceDrift: for the columns that stand nowhere, all of them named.
    """
    array = _place(query.unnest, available) if query.unnest else None
    missing = [query.unnest] if query.unnest and array is None else []
    columns = []
    for column in query.columns:
        place = _element(column.path, query.unnest, array) or _place(column.path, available)
        if place is None and not (query.unnest and _below(column.path, query.unnest)):
            missing.append(column.path)
        columns.append(place or Place(column.path))
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise SourceDrift(source, f"{named(query)} has no column {names}", query.dataset)
    return Places(tuple(columns), array)


def unknown_table(query: Query, schema: str | None) -> str:
    """What to tell of a table that is not there."""
    if "." in query.relation:
        return f"there is no {named(query)}"
    where = f"in schema {schema}" if schema else "in the default schema; `schema` names another"
    return f"there is no {named(query)} {where}"


def named(query: Query) -> str:
    """What the query reads, as messages name it."""
    return "the query" if query.text else f"table {query.relation}"


def relation_sql(query: Query, schema: str | None, preparer: IdentifierPreparer) -> str:
    """The relation under the alias ``t``, for FROM."""
    if query.text:
        # The line break ends a comment that the query may end with.
        return f"({query.text.strip().rstrip(';')}\n) AS t"
    return f"{table_sql(query, schema, preparer)} AS t"


def table_sql(query: Query, schema: str | None, preparer: IdentifierPreparer) -> str:
    """The name of the query's table in SQL; ``schema.table`` is a qualified name."""
    given, _, table = query.relation.rpartition(".")
    parts = [part for part in (given or schema, table) if part]
    return ".".join(preparer.quote_identifier(part) for part in parts)


def _place(path: str, available: Collection[str]) -> Place | None:
    if path in available:
        return Place(path)
    column, *steps = path.split(".")
    return Place(column, tuple(steps)) if column in available else None


def _element(path: str, unnest: str | None, array: Place | None) -> Place | None:
    if unnest is None or array is None or not _below(path, unnest):
        return None
    steps = path[len(unnest) + 1 :]
    return Place(array.column, tuple(steps.split(".")) if steps else (), element=True)


def _below(path: str, unnest: str) -> bool:
    return path == unnest or path.startswith(unnest + ".")
