"""Fields: a dataset's rows → its fields as JSON-ready columns, aggregated where it says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from core.expressions import condition, formula
from core.pipeline import FieldEntry
from core.plan import DatasetPlan
from core.records import ABSENT
from core.shape import fields_of
from core.values import ColumnType, Kind
from transforms.element_keys import field_expression
from transforms.encode import json_ready
from transforms.lookup import FOUND


def present_column(dataset: str) -> str:
    """The name of the boolean column that tells where a dataset has a row."""
    return f"{dataset}|"


def found_column(dataset: str, lookup: str) -> str:
    """The name of the boolean column that tells where a dataset's lookup found its row."""
    return f"{dataset}|?{lookup}"


def cursor_column(dataset: str) -> str:
    """The name of the column with a dataset's cursor."""
    return f"{dataset}|~"


@dataclass(frozen=True)
class FieldColumn:
    """Where a field's value stands in a frame, and whether it is JSON text already."""

    name: str
    is_text: bool
    absent: str | None = None
    """The boolean column that tells where the field is to be left out, if anywhere."""


@dataclass
class Fields:
    """A dataset's fields: the frame, and the column of each by its path."""

    frame: pl.DataFrame
    columns: dict[str, FieldColumn] = field(default_factory=dict)


def fields_frame(rows: pl.DataFrame, entry: DatasetPlan, place: Sequence[str]) -> Fields:
    """The columns ``place``, then every field, JSON-ready, and the marks named above.

    Without aggregates the rows stay as they are, in number and order; with them there is one row
    for each value of ``place``.
    """
    fields = fields_of(entry.dataset)
    if entry.is_aggregated:
        typed = _aggregated(rows, entry, place)
    else:
        made_columns = {_column(entry, n): field_expression(n, f) for n, f in fields.items()}
        made_columns |= _marks(rows, entry)
        # with_columns first: a select of constants alone would give one row
        typed = rows.with_columns(**made_columns).select(*place, *made_columns)
    made = Fields(typed.with_columns(pl.lit(value=True).alias(present_column(entry.name))))
    ready = []
    for name, declared in fields.items():
        column = _column(entry, name)
        values, is_text = json_ready(typed[column], field_kind(entry, name, declared))
        ready.append(values.alias(column))
        made.columns[name] = FieldColumn(column, is_text, _absent(typed, column))
    made.frame = made.frame.with_columns(ready)
    return made


def _column(entry: DatasetPlan, field_name: str) -> str:
    return f"{entry.name}|{field_name}"


def field_kind(entry: DatasetPlan, name: str, declared: FieldEntry) -> Kind | None:
    """The kind of a field that is just a column; of others the dtype tells enough."""
    if declared.aggregate in ("latest", "min", "max"):
        column = entry.type_of(declared.of or "")
    elif declared.aggregate or declared.derive is not None or declared.constant is not None:
        return None
    else:
        column = entry.type_of(declared.column or name)
    return column.kind if column is not None else None


def _marks(rows: pl.DataFrame, entry: DatasetPlan) -> dict[str, pl.Expr]:
    marks = {
        found_column(entry.name, alias): pl.col(FOUND + alias)
        for alias in entry.dataset.lookups
        if FOUND + alias in rows.columns
    }
    if entry.dataset.cursor is not None:
        marks[cursor_column(entry.name)] = pl.col(entry.dataset.cursor)
    for name, declared in fields_of(entry.dataset).items():
        source = ABSENT + (declared.column or name)
        if source in rows.columns and declared.derive is None and declared.constant is None:
            marks[ABSENT + _column(entry, name)] = pl.col(source)
    return marks


def _absent(typed: pl.DataFrame, column: str) -> str | None:
    mark = ABSENT + column
    return mark if mark in typed.columns and typed[mark].any() else None


def _aggregated(rows: pl.DataFrame, entry: DatasetPlan, place: Sequence[str]) -> pl.DataFrame:
    fields = fields_of(entry.dataset)
    aggregates = {name: f for name, f in fields.items() if f.aggregate is not None}
    typed = rows.group_by(place, maintain_order=True).agg(
        aggregate_expression(f, entry).alias(name) for name, f in aggregates.items()
    )
    for name, declared in fields.items():
        if declared.derive is not None:
            typed = typed.with_columns(formula(declared.derive).alias(name))
        elif declared.aggregate is None:
            typed = typed.with_columns(pl.lit(declared.constant).alias(name))
    return typed.select(*place, *(pl.col(name).alias(_column(entry, name)) for name in fields))


def aggregate_expression(declared: FieldEntry, entry: DatasetPlan) -> pl.Expr:
    """The expression of an aggregated field, within a group of rows."""
    chosen = None
    if declared.where is not None:
        chosen = condition(declared.where).fill_null(value=False)
    if declared.aggregate == "count":
        marks = [] if chosen is None else [chosen]
        if declared.of is not None:
            marks.append(pl.col(declared.of).is_not_null())
        counted = pl.all_horizontal(marks).sum() if marks else pl.len()
        return counted.cast(pl.Int64)
    values = _chosen(declared.of, chosen)
    if declared.aggregate == "sum":
        return _sum(values, entry.type_of(declared.of or ""))
    if declared.aggregate == "min":
        return values.min()
    if declared.aggregate == "max":
        return values.max()
    latest = _chosen(declared.by, chosen)
    return values.sort_by(latest, values, descending=True, nulls_last=True).first()


def _sum(values: pl.Expr, of: ColumnType | None) -> pl.Expr:
    if of is None or of.kind != "number":
        return values.sum()
    total = values.sort().sum()  # the sum of doubles depends on their order
    # where the doubles stand for decimals, so does their sum; adding 0 makes -0 a 0
    return total if of.scale is None else total.round(of.scale) + 0.0


def _chosen(column: str | None, chosen: pl.Expr | None) -> pl.Expr:
    values = pl.col(column or "")
    return values if chosen is None else values.filter(chosen)
