"""The cast of user ids: one type for all sources, so that equal ids are equal texts."""

from __future__ import annotations

import re

import polars as pl

from core.pipeline import Column, UserId
from core.values import ColumnType
from transforms.casts_ids import cast_objectid, cast_uuid
from transforms.casts_numbers import cast_integer
from transforms.casts_outcome import Cast, Wanted, nulls, only, refuse, refuse_all, then
from transforms.casts_text import fold, matches

LONGEST_BYTES = 512
"""A key in Redis holds it, and the report's lines stay readable."""

_CONTROL = r"[\x00-\x1f\x7f-\x{9f}]"

_COLUMN = Column.model_validate({})

# Patterns that mean the same to Rust's engine, which is fast, and to Python's, which decides
_ATOM = r"(?:\[[A-Za-z0-9_-]+\]|\\d|[A-Za-z0-9_-])"
_SAME_IN_BOTH = re.compile(rf"\^?(?:{_ATOM}(?:\{{[0-9]{{1,3}}(?:,[0-9]{{1,3}})?\}}|[+*?])?)*\$?")


def cast_user_id(series: pl.Series, spec: UserId) -> Cast:
    """User ids as Int64 for integers, else as String; null where a row has none."""
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.Null:
        return Cast(nulls(series, pl.Int64() if spec.type == "integer" else pl.String()))
    filled = Cast(series)
    if series.dtype == pl.String:
        series = fold(series, spec.trim, spec.case)
        filled = refuse(series, only(series, series != ""), "user_id_empty")
    cast = then(filled, _typed(filled.values, spec))
    if spec.pattern is None:
        return cast
    fit = only(cast.values, _fits(cast.values, spec.pattern))
    return then(cast, refuse(cast.values, fit, "user_id_pattern"))


def _typed(series: pl.Series, spec: UserId) -> Cast:
    wanted = Wanted(_COLUMN, None, ColumnType(spec.type), None)
    match spec.type:
        case "integer":
            return cast_integer(series, wanted)
        case "uuid":
            return cast_uuid(series, wanted)
        case "objectid":
            return cast_objectid(series, wanted)
    return _string(series, spec)


def _string(series: pl.Series, spec: UserId) -> Cast:
    whole = isinstance(series.dtype, pl.Decimal) and series.dtype.scale == 0
    if series.dtype.is_integer() or whole:
        series = series.cast(pl.String)
    elif series.dtype != pl.String:
        # 123.0 may have been 123 or "123.0", and no more tells which
        return refuse_all(series, pl.String(), "user_id_not_text")
    if spec.pad is not None:
        series = series.str.pad_start(spec.pad, "0")  # not zfill, which keeps a sign in front
    short = only(series, series.str.len_bytes() <= LONGEST_BYTES)
    clean = only(short, ~short.str.contains(_CONTROL))
    first = refuse(series, short, "user_id_too_long")
    return then(first, refuse(short, clean, "user_id_control_character"))


def _fits(values: pl.Series, pattern: str) -> pl.Series:
    """Which ids the pattern matches as a whole, in Python's syntax."""
    texts = values.cast(pl.String)
    if _SAME_IN_BOTH.fullmatch(pattern) and "--" not in pattern:
        return matches(texts, pattern)
    whole = re.compile(pattern)
    return pl.Series(
        (None if text is None else whole.fullmatch(text) is not None for text in texts.to_list()),
        dtype=pl.Boolean,
    )
