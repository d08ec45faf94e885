"""Normalise: a chunk as a connector delivers it → typed rows, each led to its user or its link.

Nothing is dropped here but what a filter names: a row with a value that does not fit carries its
reason along to its user, so that the user can be held or the row replayed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd
import polars as pl
import pyarrow as pa

from core.expressions import condition
from core.pipeline import Link, UserId
from core.plan import DatasetPlan
from core.records import CANONICAL, EMPTY, RowCounts
from core.values import ColumnType
from transforms.casts import cast_user_id
from transforms.columns import CULPRIT, REASON, ROW, USER_ID, key_columns, to_columns
from transforms.hook import Hook, transformed
from transforms.quarantine import end_orphans, quarantine
from transforms.typed import typed

__all__ = [
    "Hook",
    "Normalised",
    "folded",
    "is_copied",
    "keyed",
    "led_to_user",
    "link_rows",
    "normalise",
]

_ITEM = "__item"


@dataclass
class Normalised:
    """A chunk's rows and what became of those that are gone.

    ``rows`` has the plan's columns in their types, the ``ABSENT`` columns, ``REASON`` and
    ``CULPRIT``.
    """

    rows: pl.DataFrame
    counts: RowCounts = field(default_factory=RowCounts)


def normalise(frame: pd.DataFrame, plan: DatasetPlan, hook: Hook | None) -> Normalised:
    """The typed rows of a chunk.

    Args:
        frame: a chunk as ``connectors.base`` describes it.
        plan: the dataset's plan with its types resolved.
        hook: the dataset's Python transform, loaded.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    raw = pl.from_arrow(table)
    assert isinstance(raw, pl.DataFrame)
    result = Normalised(raw, RowCounts(rows=raw.height))
    if EMPTY in raw.columns:
        result.rows = raw = _filtered(raw, ~pl.col(EMPTY), "empty", result.counts.filtered)
    columns = {name: (raw[name], plan.columns[name]) for name in plan.columns}
    rows = typed(raw, columns, plan, frame.attrs.get(CANONICAL, ()))
    if hook is not None:
        rows = transformed(rows, plan, hook, result.counts.filtered)
    if plan.early_where is not None:
        keep = pl.col(REASON).is_not_null() | condition(plan.early_where).fill_null(value=False)
        rows = _filtered(rows, keep, "where", result.counts.filtered)
    result.rows = rows
    return result


def led_to_user(
    rows: pl.DataFrame, plan: DatasetPlan, spec: UserId, counts: RowCounts
) -> pl.DataFrame:
    """The rows with ``USER_ID``, taken from the dataset's own column; an array gives copies.

    Rows without a usable id end here, in ``counts``.
    """
    column = plan.user_column
    assert column is not None
    if plan.types[column].kind == "array":
        rows = _exploded(_numbered(rows, counts), column, plan.types[column], counts)
        ids = rows[column + _ITEM]
        rows = rows.drop(column + _ITEM)
    else:
        ids = rows[column]
    made = cast_user_id(ids, spec)
    rows = rows.with_columns(made.values.alias(USER_ID))
    if made.reasons is not None:
        unfit = rows.with_columns(made.reasons.alias(REASON), pl.lit(column).alias(CULPRIT))
        quarantine(unfit.filter(pl.col(REASON).is_not_null()), plan, counts)
        rows = rows.filter(made.reasons.is_null())
    lost = rows.filter(pl.col(USER_ID).is_null())
    if lost.height:
        end_orphans(lost, "no_user_id", column, plan, counts)
        rows = rows.filter(pl.col(USER_ID).is_not_null())
    return rows


def keyed(rows: pl.DataFrame, plan: DatasetPlan, counts: RowCounts) -> pl.DataFrame:
    """The rows with the key of their first link; rows without a key end here, in ``counts``."""
    link = plan.links[0][1]
    names = key_columns(len(plan.first_key))
    if is_copied(plan):
        rows = _numbered(rows, counts)
    for name, column in zip(names, plan.first_key, strict=True):
        if plan.types[column].kind == "array":
            rows = _exploded(rows, column, plan.types[column], counts)
            key = pl.col(column + _ITEM)
            rows = rows.with_columns(folded(key, rows.schema[column + _ITEM], link).alias(name))
            rows = rows.drop(column + _ITEM)
        else:
            key = folded(pl.col(column), rows.schema[column], link)
            rows = rows.with_columns(key.alias(name))
    lost = pl.any_horizontal(pl.col(name).is_null() for name in names)
    gone = rows.filter(lost)
    if gone.height:
        end_orphans(gone, "no_link_key", ",".join(plan.first_key), plan, counts)
        rows = rows.filter(~lost)
    return rows


def link_rows(rows: pl.DataFrame, name: str, link: Link, plan: DatasetPlan) -> pl.DataFrame:
    """The crosswalk that a dataset's rows are: key, target, and the columns to bring along.

    Returns:
        Columns ``__key0…``, ``__to0…`` and ``link.column`` for each of the link's columns;
        distinct rows of the chunk, without nulls in keys and targets. A row that can't be used
        may lead to another: it stands there with null targets, so that its key is not taken for
        one that leads to a single user.
    """
    bad = pl.col(REASON).is_not_null()
    if link.where is not None:
        rows = rows.filter(condition(link.where).fill_null(bad))
    keys, targets = key_columns(len(link.from_)), to_columns(len(link.to))
    for column, name_out in zip([*link.from_, *link.to], [*keys, *targets], strict=True):
        folding = link if name_out in keys else None
        if plan.types[column].kind == "array":
            rows = _exploded(rows, column, plan.types[column], None)
            made = folded(pl.col(column + _ITEM), rows.schema[column + _ITEM], folding)
            rows = rows.with_columns(made.alias(name_out)).drop(column + _ITEM)
        else:
            made = folded(pl.col(column), rows.schema[column], folding)
            rows = rows.with_columns(made.alias(name_out))
    brought = [pl.col(column).alias(f"{name}.{column}") for column in link.columns]
    unusable = pl.when(~bad)
    made_rows = rows.filter(bad | pl.all_horizontal(pl.col(t).is_not_null() for t in targets))
    made_rows = made_rows.select(
        *keys,
        *(unusable.then(pl.col(t)).alias(t) for t in targets),
        *(unusable.then(b) for b in brought),
    )
    return made_rows.drop_nulls(keys).unique(maintain_order=True)


def _filtered(rows: pl.DataFrame, keep: pl.Expr, why: str, filtered: Counter[str]) -> pl.DataFrame:
    kept = rows.filter(keep)
    if kept.height < rows.height:
        filtered[why] += rows.height - kept.height
    return kept


def folded(key: pl.Expr, dtype: pl.DataType, link: Link | None) -> pl.Expr:
    """A key in the form in which it is compared: a 64-bit integer, or a text."""
    if dtype.is_integer():
        return key.cast(pl.Int64)
    text = key.cast(pl.String)
    if link is not None and link.case_insensitive:
        return text.str.strip_chars().str.normalize("NFC").str.to_lowercase()
    return text


def is_copied(plan: DatasetPlan) -> bool:
    """Whether one row of a dataset may reach several users, or a user in several ways."""
    columns = plan.first_key if plan.links else filter(None, [plan.user_column])
    by_links = any(link.cardinality == "many" for _, link in plan.links)
    return by_links or any(plan.types[column].kind == "array" for column in columns)


def _numbered(rows: pl.DataFrame, counts: RowCounts) -> pl.DataFrame:
    """The rows with ``ROW``; ``counts`` has the rows of all chunks so far, this one included."""
    return rows.with_columns((counts.rows - 1 - pl.int_range(pl.len())).alias(ROW))


def _exploded(
    rows: pl.DataFrame, column: str, column_type: ColumnType, counts: RowCounts | None
) -> pl.DataFrame:
    """A row for each item of an array column, the item in ``column + "__item"``."""
    item = pl.Int64() if column_type.item == "integer" else pl.String()
    arrays = rows[column].str.json_decode(pl.List(item)).alias(column + _ITEM)
    made = rows.with_columns(arrays)
    exploded = made.explode(column + _ITEM, empty_as_null=True)
    if counts is not None:
        counts.copies += exploded.height - rows.height
    return exploded
