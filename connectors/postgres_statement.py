"""The SELECT that reads a query's columns from PostgreSQL, arrays unnested by the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.postgres_columns import PgType, Selected, literal, whole, within
from connectors.postgres_filters import Filterable
from connectors.relations import Place, Places, named
from core.errors import SourceDrift
from core.records import Query

Quote = Callable[[str], str]

TEXT = PgType("text", -1)


@dataclass(frozen=True)
class Statement:
    """A SELECT: the query's columns in order, then the bad column's name, then what is empty.

    It ends with what it reads ``relation``, for a WHERE to follow; ``filterable`` has the columns
    as a condition sees them. ``has_bad`` and ``has_empty`` tell whether those two are there.
    """

    sql: str
    relation: str
    columns: tuple[Selected, ...]
    filterable: Mapping[str, Filterable]
    has_bad: bool
    has_empty: bool


@dataclass(frozen=True)
class _Unnested:
    """The array of a query: the join that makes rows of it, and its element's type.

    ``indexed`` is its SQL where it is an array that an index may be on.
    """

    join: str
    element: PgType
    bad: str
    empty: str
    indexed: str | None = None


def statement(
    source: str,
    query: Query,
    relation: str,
    places: Places,
    types: Mapping[str, PgType],
    quote: Quote,
) -> Statement:
    """The statement for a query, its columns' types known.

    Raises:
        SourceDrift: a path leads into a column that is no JSON, or ``unnest`` names no array.
    """
    problems: list[str] = []
    array = None
    if places.array:
        array = _unnest(places.array, types[places.array.column], quote)
    if places.array and array is None:
        problems.append(f"{query.unnest} is no array")
    columns = []
    filterable: dict[str, Filterable] = {}
    for wanted, place in zip(query.columns, places.columns, strict=True):
        if place.element and array is None:
            continue
        sql, held, whose = f"t.{quote(place.column)}", types[place.column], None
        if place.element and array is not None:
            sql, held, whose = "e.v", array.element, array.indexed
        if place.steps and not held.is_json:
            problems.append(f"{wanted.path} leads into a column that is no JSON")
        elif place.steps or (place.element and held.is_json):
            columns.append(within(sql, held, place, wanted.type))
            held = TEXT
            sql = columns[-1].sql
        else:
            columns.append(whole(sql, held, wanted.type))
        filterable[wanted.name] = Filterable(sql, held, wanted.type, whose)
    if problems:
        raise SourceDrift(source, f"in {named(query)}, {'; '.join(problems)}", query.dataset)
    return _assemble(query, relation, places, array, tuple(columns), filterable)


def _assemble(
    query: Query,
    relation: str,
    places: Places,
    array: _Unnested | None,
    columns: tuple[Selected, ...],
    filterable: Mapping[str, Filterable],
) -> Statement:
    names = [column.name for column in query.columns]
    bad = [
        f"WHEN {each.bad} THEN {literal(name)}"
        for name, each in zip(names, columns, strict=True)
        if each.bad
    ]
    if array:
        elements = [
            name for name, place in zip(names, places.columns, strict=True) if place.element
        ]
        bad.append(f"WHEN {array.bad} THEN {literal((elements or [query.unnest or ''])[0])}")
    printed = [each.sql for each in columns]
    if bad:
        printed.append(f"CASE {' '.join(bad)} END")
    if array:
        printed.append(array.empty)
    read = f"{relation}{array.join if array else ''}"
    sql = f"SELECT {', '.join(printed)} FROM {read}"
    return Statement(sql, read, columns, filterable, bool(bad), array is not None)


def _unnest(place: Place, held: PgType, quote: Quote) -> _Unnested | None:
    sql = f"t.{quote(place.column)}"
    if held.is_json:
        if place.steps:
            sql = f"({sql} #> ARRAY[{', '.join(map(literal, place.steps))}])"
        return _json_array(sql, held)
    if held.item is None or place.steps:
        return None
    if held.item.composite:
        return _json_array(f"to_json({sql})", PgType("json", -1))
    # unnest() would flatten an array of several dimensions.
    return _Unnested(
        f" LEFT JOIN LATERAL unnest(CASE WHEN array_ndims({sql}) = 1 THEN {sql} END)"
        " AS e(v) ON true",
        held.item,
        bad=f"array_ndims({sql}) > 1",
        empty=f"coalesce(cardinality({sql}), 0) = 0",
        indexed=None if held.item.domain else sql,
    )


def _json_array(sql: str, held: PgType) -> _Unnested:
    kind = held.name
    return _Unnested(
        f" LEFT JOIN LATERAL {kind}_array_elements("
        f"CASE WHEN {kind}_typeof({sql}) = 'array' THEN {sql} END) AS e(v) ON true",
        held,
        bad=f"{kind}_typeof({sql}) NOT IN ('array', 'null')",
        empty=f"coalesce(CASE {kind}_typeof({sql}) WHEN 'array' "
        f"THEN {kind}_array_length({sql}) = 0 ELSE {kind}_typeof({sql}) = 'null' END, true)",
    )
