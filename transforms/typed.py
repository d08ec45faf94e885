"""Typed: columns as delivered → columns in their types, and what is wrong with each row."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from core.pipeline import Column
from core.plan import DatasetPlan
from core.records import ABSENT, BAD_COLUMN
from transforms.casts import Cast, cast
from transforms.columns import CULPRIT, REASON


def typed(
    raw: pl.DataFrame,
    columns: dict[str, tuple[pl.Series, Column]],
    plan: DatasetPlan,
    canonical: Collection[str] = (),
) -> pl.DataFrame:
    """Typed columns with ``REASON`` and ``CULPRIT`` of the first value in a row that does not fit.

    Args:
        raw: the frame that the columns are from, to take its marks along.
        columns: by name, the values and what the pipeline file says of them.
        plan: the dataset's plan with its types resolved.
        canonical: the columns whose JSON text is as orjson prints it.
    """
    made: list[pl.Series] = []
    reason = pl.Series(REASON, [None], dtype=pl.String).new_from_index(0, raw.height)
    culprit = reason.alias(CULPRIT)
    marks: list[tuple[str, Cast]] = []
    for name, (series, column) in columns.items():
        target = plan.types[name]
        # Dates and times that have a format are tried in ISO form too, as real columns print them.
        zone = plan.dataset.timezone
        result = cast(series, column, target, target, zone, canonical=name in canonical)
        made.append(result.values.alias(name))
        if result.reasons is not None:
            marks.append((name, result))
        if ABSENT + name in raw.columns:
            made.append(raw[ABSENT + name])
    rows = pl.DataFrame([*made, reason, culprit])
    if BAD_COLUMN in raw.columns and raw[BAD_COLUMN].null_count() < raw.height:
        bad = raw[BAD_COLUMN].cast(pl.String)
        unreadable = pl.when(bad.is_not_null()).then(pl.lit("unreadable"))
        rows = rows.with_columns(unreadable.alias(REASON), bad.alias(CULPRIT))
    for name, mark in marks:
        rows = _marked(rows, name, mark)
    return rows


def _marked(rows: pl.DataFrame, name: str, mark: Cast) -> pl.DataFrame:
    assert mark.reasons is not None
    first = mark.reasons.is_not_null() & rows[REASON].is_null()
    return rows.with_columns(
        pl.when(first).then(mark.reasons).otherwise(pl.col(REASON)).alias(REASON),
        pl.when(first).then(pl.lit(name)).otherwise(pl.col(CULPRIT)).alias(CULPRIT),
    )
