"""Casts to integer, number and boolean."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import polars as pl

from core.values import NUMBER_DIGITS, SAFE_INTEGER
from transforms.casts_decimals import decimal_of, holds
from transforms.casts_outcome import (
    Cast,
    Judge,
    Unfit,
    Wanted,
    only,
    refuse,
    refuse_all,
    settle,
    then,
)
from transforms.casts_text import matches
from transforms.kept_numbers import all_kept, is_kept

_BEYOND = "integer_beyond_2_53"
_INEXACT = "inexact_number"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_SAFE_DIGITS = len(str(SAFE_INTEGER))
_SHORT_INTEGER = rf"-?(?:0|[1-9][0-9]{{0,{_SAFE_DIGITS - 1}}})"
_SHORT_NUMBER = (
    rf"-?(?:[0-9]{{1,{NUMBER_DIGITS}}}|"
    + "|".join(rf"[0-9]{{{n}}}\.[0-9]{{1,{NUMBER_DIGITS - n}}}" for n in range(1, NUMBER_DIGITS))
    + ")"
)
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")


def is_safe(series: pl.Series) -> pl.Series:
    """Which numbers (of 64 bits, or floats) JSON readers hold exactly as integers."""
    return series.is_between(-SAFE_INTEGER, SAFE_INTEGER)


def _safe(value: int) -> int:
    if abs(value) > SAFE_INTEGER:
        raise Unfit(_BEYOND)
    return value


def integer_judge(wanted: Wanted) -> Judge:
    """The rule for integers: within ± 2^53, and text only as JSON writes them.

    Text from a decimal column may have a fraction of zeros.
    """
    decimals = wanted.delivered is not None and wanted.delivered.kind == "decimal"

    def judge(value: Any) -> int:
        if isinstance(value, int):
            return _safe(int(value))
        if isinstance(value, str):
            # int() of very long texts is refused by Python, and is beyond anyway
            if _INTEGER.fullmatch(value):
                return _safe(int(value[: _SAFE_DIGITS + 2]))
            exact = decimal_of(value, "not_an_integer")
            if not decimals:
                raise Unfit("not_an_integer")
        else:
            exact = decimal_of(value, "not_an_integer")
        if exact.adjusted() > _SAFE_DIGITS and exact:
            raise Unfit(_BEYOND)
        if exact % 1:
            raise Unfit("not_an_integer")
        return _safe(int(exact))

    return judge


def cast_integer(series: pl.Series, wanted: Wanted) -> Cast:
    """Int64 within ± 2^53."""
    judge, dtype = integer_judge(wanted), series.dtype
    if dtype == pl.Boolean:
        return Cast(series.cast(pl.Int64))
    if dtype.is_integer():
        found = series.cast(pl.Int64, strict=False)
        return refuse(series, only(found, is_safe(found)), _BEYOND)
    if dtype.is_float():
        return settle(series, only(series, _integral(series)).cast(pl.Int64), judge)
    if dtype == pl.Decimal:
        series = series.cast(pl.String).str.replace(r"\.0+$", "")
    elif dtype != pl.String:
        return refuse_all(series, pl.Int64(), "not_an_integer")
    elif wanted.delivered is not None and wanted.delivered.kind == "decimal":
        whole = series.str.replace(r"^(-?(?:0|[1-9][0-9]*))\.0+$", "$1")
        return settle(series, _from_text(whole), judge)
    return settle(series, _from_text(series), judge)


def _integral(series: pl.Series) -> pl.Series:
    return is_safe(series) & (series == series.floor())


def _from_text(series: pl.Series) -> pl.Series:
    found = only(series, matches(series, _SHORT_INTEGER)).cast(pl.Int64, strict=False)
    return only(found, is_safe(found))


def number_judge(wanted: Wanted) -> Judge:
    """The rule for numbers: doubles that stand for just the value given, and that Redis keeps."""
    from_integers = wanted.delivered is not None and wanted.delivered.kind == "integer"

    def double(value: Any) -> float:
        if isinstance(value, int):
            return float(_safe(value))
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Unfit("not_finite")
            return value + 0.0
        exact = decimal_of(value, "not_a_number")
        if from_integers and isinstance(value, str) and _INTEGER.fullmatch(value):
            return float(_safe(int(value[: _SAFE_DIGITS + 2])))
        return double_of(exact)

    def judge(value: Any) -> float:
        found = double(value)
        if not is_kept(found):
            raise Unfit(_INEXACT)
        return found

    return judge


def double_of(exact: Decimal) -> float:
    """The double for a decimal that it holds unchanged.

    Raises:
        Unfit: ``inexact_number`` for more digits than surely survive, or too large or small.
    """
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    found = float(exact)
    if len(digits) > NUMBER_DIGITS or not holds(found, exact):
        raise Unfit(_INEXACT)
    return found + 0.0


def cast_number(series: pl.Series, wanted: Wanted) -> Cast:
    """Finite Float64 that Redis keeps; a negative zero becomes zero: equal numbers look equal."""
    made = _doubles(series, wanted)
    return then(made, refuse(made.values, only(made.values, all_kept(made.values)), _INEXACT))


def _doubles(series: pl.Series, wanted: Wanted) -> Cast:
    judge, dtype = number_judge(wanted), series.dtype
    if dtype == pl.Boolean:
        return Cast(series.cast(pl.Float64))
    if dtype.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        return refuse(series, only(whole, is_safe(whole)).cast(pl.Float64), _BEYOND)
    if dtype.is_float():
        found = series.cast(pl.Float64)
        return refuse(series, _unsigned_zero(only(found, found.is_finite())), "not_finite")
    if dtype == pl.Decimal:
        series = series.cast(pl.String)
    elif dtype != pl.String:
        return refuse_all(series, pl.Float64(), "not_a_number")
    found = only(series, matches(series, _SHORT_NUMBER)).cast(pl.Float64, strict=False)
    return settle(series, _unsigned_zero(found), judge)


def _unsigned_zero(series: pl.Series) -> pl.Series:
    # adding zero would do in Python, but Polars leaves that addition out
    return pl.select(pl.when(series == 0.0).then(0.0).otherwise(series)).to_series()


def boolean_judge(wanted: Wanted) -> Judge:
    """The rule for booleans: the words and digits for true and false, no other."""

    def judge(value: Any) -> bool:
        word = value.lower() if isinstance(value, str) else value
        if not isinstance(word, str | int):
            raise Unfit("not_a_boolean")
        if word in (*_TRUE, 1):
            return True
        if word in (*_FALSE, 0):
            return False
        raise Unfit("not_a_boolean")

    return judge


def cast_boolean(series: pl.Series, wanted: Wanted) -> Cast:
    """Booleans from booleans, 0 and 1, and the words for them."""
    if series.dtype == pl.Boolean:
        return Cast(series)
    if series.dtype.is_integer():
        words = only(series, series.is_between(0, 1))
        return refuse(series, words.cast(pl.Boolean), "not_a_boolean")
    if series.dtype != pl.String:
        return refuse_all(series, pl.Boolean(), "not_a_boolean")
    lower = series.str.to_lowercase()
    known = only(lower, lower.is_in([*_TRUE, *_FALSE]))
    return refuse(series, known.is_in(_TRUE), "not_a_boolean")
