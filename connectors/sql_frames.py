"""Rows of a driver as frames: JSON taken apart, arrays unnested, values in their delivered form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from connectors.arrow import frame
from connectors.nested import CROSSED, at, parse_json, plain_text, unnest
from connectors.python_values import UNREADABLE, delivered
from connectors.relations import Places
from connectors.sql_types import SqlColumn, as_declared
from core.records import EMPTY, Query
from core.values import ColumnType


def rows_frame(
    query: Query, places: Places, columns: Mapping[str, SqlColumn], rows: Any
) -> tuple[pd.DataFrame, int]:
    """The frame of some rows of the source's columns, and about how many bytes it has."""
    by_name = dict(zip(places.source_columns, map(list, zip(*rows, strict=True)), strict=False))
    documents: dict[str, list[Any]] = {}

    def document(column: str) -> list[Any]:
        if column not in documents:
            documents[column] = [parse_json(as_text(value)) for value in by_name[column]]
        return documents[column]

    flags = {}
    unnested = None
    if places.array is not None:
        unnested = unnest(at(document(places.array.column), places.array.steps))
        flags[EMPTY] = pa.array(unnested.empty, pa.bool_())
    made = {}
    for wanted, place in zip(query.columns, places.columns, strict=True):
        if place.element and unnested is not None:
            values = _inside(at(unnested.elements, place.steps), unnested.bad)
            made[wanted.name] = delivered(values, ColumnType("string"), as_text)
            continue
        if place.steps:
            values = _inside(at(document(place.column), place.steps))
            form = ColumnType("string")
        else:
            column = as_declared(columns[place.column], wanted.type)
            values, form = _prepared(by_name[place.column], column), column.form
        if unnested is not None:
            values = [values[row] for row in unnested.rows]
        made[wanted.name] = delivered(values, form, as_text)
    finished = frame(made, flags)
    return finished, int(sum(array.values.nbytes for array in made.values()))


def _prepared(values: list[Any], column: SqlColumn) -> list[Any]:
    if column.prepare is None:
        return values
    return [None if value is None else column.prepare(value) for value in values]


def _inside(values: Sequence[Any], bad: Sequence[bool] = ()) -> list[Any]:
    """What stands inside documents, as text; what is no one value is unreadable."""
    texts = [UNREADABLE if value is CROSSED else plain_text(value) for value in values]
    if not any(bad):
        return texts
    return [UNREADABLE if is_bad else text for text, is_bad in zip(texts, bad, strict=True)]


def as_text(value: Any) -> str | None:
    """What a driver's value reads as; None for bytes that are no UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, float):
        return repr(value)
    return None if value is None else str(value)
