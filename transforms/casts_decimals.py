"""Casts to decimal: exact, or bad. Polars' own cast rounds, so no text reaches it unchecked."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import polars as pl

from core.values import ColumnType
from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, only, refuse_all, settle
from transforms.casts_text import PLAIN_DIGITS, matches, plain_notation

DIGITS = 38
"""Digits that Arrow's decimal128 holds."""

_EXPONENT_DIGITS = 9
_NUMBER = re.compile(
    rf"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{{1,{_EXPONENT_DIGITS}}})?"
)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE | re.ASCII)

_CANONICAL = r"-?[1-9][0-9]*(?:\.[0-9]+)?|0(?:\.[0-9]+)?|-0\.0*[1-9][0-9]*"
"""Plain notation with neither superfluous zeros in front nor a negative zero."""


def decimal_dtype(target: ColumnType) -> pl.DataType:
    """Arrow decimals of the type's scale, else String.

    Text it is where the source gives no scale, or where its digits may not fit (MySQL has 65).
    """
    scale = _fixed_scale(target)
    return pl.String() if scale is None else pl.Decimal(DIGITS, scale)


def _fixed_scale(target: ColumnType) -> int | None:
    scale, precision = target.scale, target.precision
    fits = scale is not None and 0 <= scale <= DIGITS and (precision or 0) <= DIGITS
    return scale if fits else None


def decimal_of(value: Any, garbage: str) -> Decimal:
    """The exact decimal that a number or text stands for; of a float, its shortest text's.

    Raises:
        Unfit: ``not_finite``, or ``garbage`` for what is no number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Unfit(garbage)
    text = repr(value) if isinstance(value, float) else value
    if isinstance(text, str) and _NOT_FINITE.fullmatch(text):
        raise Unfit("not_finite")
    if isinstance(text, str) and not _NUMBER.fullmatch(text):
        raise Unfit(garbage)
    found = Decimal(text)
    if not found.is_finite():
        raise Unfit("not_finite")
    return found


def holds(found: float, exact: Decimal) -> bool:
    """Whether the double's shortest text is the decimal's value."""
    return math.isfinite(found) and Decimal(repr(found)) == exact


def decimal_judge(wanted: Wanted) -> Judge:
    """The rule for decimals: a Decimal of the scale, or plain text where that is unknown."""
    scale = _fixed_scale(wanted.target)
    if scale is None:
        return lambda value: plain_notation(decimal_of(value, "not_a_decimal"))
    unit = Decimal(1).scaleb(-scale)
    context = Context(prec=DIGITS, traps=[Inexact, InvalidOperation])

    def judge(value: Any) -> Decimal:
        try:
            found = decimal_of(value, "not_a_decimal").quantize(unit, context=context)
        except Inexact:
            raise Unfit("inexact_decimal") from None
        except InvalidOperation:
            raise Unfit("decimal_too_long") from None
        return found if found else found.copy_abs()

    return judge


def cast_decimal(series: pl.Series, wanted: Wanted) -> Cast:
    """Decimals from text, integers, decimals and floats (by their shortest text)."""
    scale, dtype = _fixed_scale(wanted.target), series.dtype
    if dtype in (pl.Decimal, pl.Float32):
        series = series.cast(pl.String)
    elif dtype != pl.String and not dtype.is_numeric():
        return refuse_all(series, decimal_dtype(wanted.target), "not_a_decimal")
    fast = _plain(series) if scale is None else _fixed(series, scale)
    return settle(series, fast, decimal_judge(wanted))


def _plain(series: pl.Series) -> pl.Series:
    if series.dtype.is_integer():
        return series.cast(pl.String)
    if series.dtype != pl.String:
        return nulls(series, pl.String())
    fit = matches(series, _CANONICAL) & (series.str.len_bytes() <= PLAIN_DIGITS)
    return only(series, fit)


def _fixed(series: pl.Series, scale: int) -> pl.Series:
    dtype = pl.Decimal(DIGITS, scale)
    if series.dtype.is_integer():
        return series.cast(dtype, strict=False)
    if series.dtype != pl.String:
        return nulls(series, dtype)
    fraction = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
    # the length keeps within 38 digits whatever the zeros in front
    fit = matches(series, rf"-?[0-9]+{fraction}") & (series.str.len_bytes() <= DIGITS - scale)
    return only(series, fit).cast(dtype, strict=False)
