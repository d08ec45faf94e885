"""What a cast gives, and the two ways to it: a fast one for columns, an exact one for a value.

Each kind has a *judge*, which takes one Python value and gives it typed or raises ``Unfit``: that
is the rule. Beside it stands vectorised code for what nearly all values look like. It leaves null
whatever it is not sure of, and ``settle`` lets the judge decide on the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.pipeline import Column
from core.values import ColumnType


@dataclass(frozen=True)
class Cast:
    """A column as typed.

    ``values`` is null where the value was null and where it is bad. ``reasons`` (String) says of
    each bad row why, and is null elsewhere; it is None where no row is bad.
    """

    values: pl.Series
    reasons: pl.Series | None = None


@dataclass(frozen=True)
class Wanted:
    """What one column is to become.

    ``delivered`` is the source's own type, if known; ``timezone`` that of times without one;
    ``canonical`` tells that JSON text is as orjson prints it.
    """

    column: Column
    delivered: ColumnType | None
    target: ColumnType
    timezone: str | None
    canonical: bool = False


class Unfit(Exception):
    """A value that no profile may hold. Carries the reason and never the value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Judge = Callable[[Any], Any]
"""Gives one value (never None) typed; raises Unfit."""


def settle(
    series: pl.Series,
    values: pl.Series,
    judge: Judge,
    shown_as: Callable[[pl.Series], pl.Series] = lambda rows: rows,
) -> Cast:
    """The cast of a column whose fast way left some values null.

    Args:
        series: the column as delivered.
        values: the typed values, null where the fast way was not sure.
        judge: decides on the rows that are null in ``values`` only.
        shown_as: gives those rows as the judge is to see them.
    """
    if values.null_count() == series.null_count():
        return Cast(values)
    rows = (values.is_null() & series.is_not_null()).arg_true()
    found: list[Any] = []
    reasons: list[str | None] = []
    for value in shown_as(series.gather(rows)).to_list():
        try:
            found.append(judge(value))
            reasons.append(None)
        except Unfit as unfit:
            found.append(None)
            reasons.append(unfit.reason)
    # Series.scatter changes its own Series, which may be the caller's
    settled = values.clone().scatter(rows, pl.Series(found, dtype=values.dtype))
    if all(reason is None for reason in reasons):
        return Cast(settled)
    told = pl.Series(reasons, dtype=pl.String)
    return Cast(settled, nulls(series, pl.String()).scatter(rows, told))


def refuse(series: pl.Series, values: pl.Series, reason: str) -> Cast:
    """The cast of a column of which all values that are null in ``values`` are bad alike."""
    if values.null_count() == series.null_count():
        return Cast(values)
    bad = values.is_null() & series.is_not_null()
    return Cast(values, pl.select(pl.when(bad).then(pl.lit(reason))).to_series())


def then(first: Cast, second: Cast) -> Cast:
    """A cast after a cast: the values of the second, the reasons of both."""
    if first.reasons is None:
        return second
    if second.reasons is None:
        return Cast(second.values, first.reasons)
    both = first.reasons.zip_with(first.reasons.is_not_null(), second.reasons)
    return Cast(second.values, both)


def refuse_all(series: pl.Series, dtype: pl.DataType, reason: str) -> Cast:
    """The cast of a column whose Arrow type can't stand for the kind at all."""
    return refuse(series, nulls(series, dtype), reason)


def join(first: Cast, second: Cast, from_second: pl.Series) -> Cast:
    """Of two casts of the same rows, the second where the mask is true, the first elsewhere."""
    values = second.values.zip_with(from_second, first.values)
    if first.reasons is None and second.reasons is None:
        return Cast(values)
    blank = nulls(values, pl.String())
    left = blank if first.reasons is None else first.reasons
    right = blank if second.reasons is None else second.reasons
    reasons = right.zip_with(from_second, left)
    return Cast(values, reasons if reasons.null_count() < len(reasons) else None)


def nulls(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """As many nulls as the series has rows."""
    return pl.Series(series.name, [None], dtype=dtype).new_from_index(0, len(series))


def only(series: pl.Series, fit: pl.Series) -> pl.Series:
    """The series with nulls where ``fit`` is not true; itself, uncopied, where all are fit."""
    if fit.all(ignore_nulls=True):
        return series
    return series.zip_with(fit.fill_null(False), nulls(series, series.dtype))
