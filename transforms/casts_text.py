"""Text: how it is cleaned, the plain text of other values, and the casts to string and binary."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from core.pipeline import Column
from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, only, refuse, settle
from transforms.casts_years import within_years

NUL = "\x00"
KEEPS_CASE = ("password_hash", "json", "array")
"""Kinds whose text is not folded as a whole: a hash is exact to the byte, and in JSON that would
change names and escapes. The items of arrays are cleaned one by one."""

PLAIN_DIGITS = 1000
"""Digits a decimal of unknown scale may have on either side of the point. Sources hold more
(PostgreSQL 131,072), but ``1E+9999999`` must not become ten megabytes of zeros."""

_WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""White space as Unicode has it, which is what Polars trims; ``str.strip`` takes more."""


def clean(series: pl.Series, column: Column, kind: str) -> pl.Series:
    """The column trimmed and folded as declared, with nulls for its ``null_values``."""
    if series.dtype == pl.Binary:
        return series
    if series.dtype == pl.String and kind != "password_hash":
        series = fold(series, column.trim, None if kind in KEEPS_CASE else column.case)
    if not column.null_values:
        return series
    return only(series, ~_stands_for_null(series, column.null_values))


def fold(series: pl.Series, trim: bool, case: Literal["lower", "upper"] | None) -> pl.Series:
    """The texts trimmed and in the case asked for."""
    if trim:
        series = series.str.strip_chars()
    if case is None:
        return series
    return series.str.to_lowercase() if case == "lower" else series.str.to_uppercase()


def clean_value(value: Any, column: Column) -> Any:
    """One item of an array cleaned like a column; None where it stands for null."""
    if isinstance(value, str):
        text = value.strip(_WHITE) if column.trim else value
        if column.case is not None:
            text = text.lower() if column.case == "lower" else text.upper()
        return None if text in column.null_values else text
    if column.null_values and isinstance(value, bool | int | float | Decimal):
        return None if text_of(value) in column.null_values else value
    return value


def _stands_for_null(series: pl.Series, texts: tuple[str, ...]) -> pl.Series:
    if series.dtype.is_float():
        # compared as numbers, so that "-1" means -1.0, and "NaN" is found however it is spelt
        numbers = [float(text) for text in texts if _reads_as_float(text)]
        found = series.is_in([number for number in numbers if number == number])
        return found | series.is_nan() if any(n != n for n in numbers) else found
    if isinstance(series.dtype, pl.Datetime):
        texts = tuple(text.replace(" ", "T") for text in texts)
    if series.dtype.is_nested() or series.dtype == pl.Object:
        return series.is_null()
    return plain_text(series).is_in(texts)


def _reads_as_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def plain_text(series: pl.Series) -> pl.Series:
    """The canonical text of each value of a column of any flat type; null where it has none.

    Dates and timestamps beyond the year 9999 have none.
    """
    dtype = series.dtype
    if dtype in (pl.Date, pl.Datetime):
        series = only(series, within_years(series))
    if dtype == pl.String:
        return series
    if dtype.is_integer() or dtype in (pl.Date, pl.Boolean, pl.Decimal):
        return series.cast(pl.String)
    if dtype == pl.Float32:
        series = series.cast(pl.String).cast(pl.Float64)  # 0.1 stays 0.1, as the source printed it
    if dtype.is_float():
        return pl.Series(map(_text_or_none, series.to_list()), dtype=pl.String)
    if isinstance(dtype, pl.Datetime):
        return _text_of_timestamps(series, dtype)
    if dtype == pl.Time:
        return series.dt.to_string("%H:%M:%S%.9f").str.replace(r"\.?0{3}(?:0{6})?$", "")
    return nulls(series, pl.String())


def _text_or_none(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _text_of_timestamps(series: pl.Series, dtype: pl.Datetime) -> pl.Series:
    if dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC")
    zone = "" if dtype.time_zone is None else "Z"
    # nanoseconds are shown only where there are any
    text = series.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f").str.replace(r"(\.[0-9]{6})000$", "$1")
    return text.str.replace(r"\.000000$", "") + zone


def plain_notation(value: Decimal) -> str:
    """The number without exponent, with the zeros at its end as given, and no negative zero.

    Raises:
        Unfit: ``decimal_too_long``.
    """
    exponent = value.as_tuple().exponent
    if value.adjusted() > PLAIN_DIGITS or int(exponent) < -PLAIN_DIGITS:
        raise Unfit("decimal_too_long")
    return format(value if value else value.copy_abs(), "f")


def text_of(value: Any) -> str:
    """The canonical text of one value.

    Raises:
        Unfit: for bytes, documents and arrays.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Decimal():
            return plain_notation(value)
        case datetime():
            if value.tzinfo is None:
                return value.isoformat()
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case date() | time():
            return value.isoformat()
    raise Unfit("not_text")


def string_judge(wanted: Wanted) -> Judge:
    """The rule for strings: any text without U+0000, which many readers take as the end."""

    def judge(value: Any) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            raise Unfit("not_finite")
        text = text_of(value)
        if NUL in text:
            raise Unfit("nul_character")
        return text

    return judge


def cast_string(series: pl.Series, wanted: Wanted) -> Cast:
    """Strings, exact; other values become their canonical text."""
    if series.dtype.is_float():
        return settle(series, only(plain_text(series), series.is_finite()), string_judge(wanted))
    if series.dtype == pl.Object:
        return settle(series, nulls(series, pl.String()), string_judge(wanted))
    if series.dtype != pl.String:
        beyond = {pl.Date: "date_out_of_range", pl.Datetime: "timestamp_out_of_range"}
        return refuse(series, plain_text(series), beyond.get(series.dtype.base_type(), "not_text"))
    return refuse(series, only(series, ~series.str.contains(NUL, literal=True)), "nul_character")


def binary_judge(wanted: Wanted) -> Judge:
    """The rule for binary inside of JSON: there is none there."""

    def judge(value: Any) -> str:
        raise Unfit("not_binary")

    return judge


def cast_binary(series: pl.Series, wanted: Wanted) -> Cast:
    """Bytes as base64, standard alphabet, padded."""
    if series.dtype != pl.Binary:
        return refuse(series, nulls(series, pl.String()), "not_binary")
    return Cast(series.bin.encode("base64"))


def matches(series: pl.Series, pattern: str) -> pl.Series:
    """Which texts the pattern matches as a whole (Rust's syntax)."""
    return series.str.contains(f"^(?:{pattern})$")
