"""Casts for tests: a list of values in, a list of values or reasons out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from core.pipeline import Column
from core.values import ColumnType, Kind
from transforms.casts import Cast, cast, resolve_type, typed_dtype

PHRASE = re.compile(r"[a-z][a-z0-9_]{2,30}")


class Bad(str):
    """The reason that is expected instead of a value."""

    def __repr__(self) -> str:
        return f"Bad({self!s})"


def told(series: pl.Series, result: Cast) -> list[Any]:
    """The cast's values, with Bad where a row is bad; checks that the two columns fit."""
    assert len(result.values) == len(series)
    reasons: Sequence[str | None] = [None] * len(series)
    if result.reasons is not None:
        assert result.reasons.dtype == pl.String
        assert len(result.reasons) == len(series)
        assert result.reasons.null_count() < len(series)
        reasons = result.reasons.to_list()
    for value, reason, was_null in zip(
        result.values.to_list(), reasons, series.is_null().to_list(), strict=True
    ):
        assert reason is None or (value is None and not was_null)
        assert reason is None or PHRASE.fullmatch(reason)
    return [
        value if reason is None else Bad(reason)
        for value, reason in zip(result.values.to_list(), reasons, strict=True)
    ]


def casts(
    values: Sequence[Any] | pl.Series,
    target: str,
    *,
    dtype: Any = None,
    delivered: Kind | None = None,
    zone: str | None = None,
    **options: Any,
) -> list[Any]:
    """What becomes of the values as a column of the type; the input must stay as it was."""
    series = values if isinstance(values, pl.Series) else pl.Series(values, dtype=dtype)
    before = series.clone()
    column = Column.model_validate({"type": target, **options})
    wanted = resolve_type(column, ColumnType("string"))
    source = None if delivered is None else ColumnType(delivered)
    result = cast(series, column, source, wanted, zone)
    assert result.values.dtype == typed_dtype(wanted)
    assert series.equals(before, null_equal=True)
    return told(series, result)


def cast_one(given: Any, target: str, **options: Any) -> Any:
    """What becomes of one value: the same alone and among nulls and its like."""
    alone = casts([given], target, **options)[0]
    among = casts([None, given, given, None], target, **options)
    assert [repr(item) for item in among] == ["None", repr(alone), repr(alone), "None"]
    return alone


def same(found: Any, expected: Any) -> bool:
    """Equal in value and kind: a reason is no text, True is not 1, and 1.50 is not 1.5."""
    return type(found) is type(expected) and str(found) == str(expected)
