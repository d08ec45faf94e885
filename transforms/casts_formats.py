"""Dates and times written in a format of ``strptime``, or as a count since 1970."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import polars as pl

from transforms.casts_decimals import decimal_of
from transforms.casts_iso import Moment, Temporal
from transforms.casts_outcome import Unfit, nulls, only
from transforms.casts_text import matches
from transforms.casts_years import FIRST, LAST

EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Formats that count since 1970, and their unit in microseconds."""

_WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "f": 6, "I": 2}
_WIDTHS |= {"U": 2, "W": 2, "V": 2, "G": 4, "u": 1, "w": 1}
_DIRECTIVE = re.compile("%(.)", re.DOTALL)
_RUN_OF_DIGITS = re.compile(f"%[{''.join(_WIDTHS)}]%[{''.join(_WIDTHS)}]")
_PLAIN_LITERALS = re.compile(r"[ ./:,_A-Za-z-]*")
_YEARS = frozenset("YyGcxD")

_LAST_OF_2000S = "68"
"""Of two-digit years, 69 to 99 are those before 2000: POSIX strptime, and Python's."""


def digits_width(layout: str) -> int | None:
    """How many digits a format of nothing but numbers of fixed width makes, else None."""
    names = _DIRECTIVE.findall(layout)
    if not names or _DIRECTIVE.sub("", layout) or not set(names) <= set(_WIDTHS):
        return None
    return sum(_WIDTHS[name] for name in names)


def padded(series: pl.Series, layout: str) -> pl.Series:
    """The column's values as text for ``strptime``; numbers get back their zeros in front."""
    if series.dtype == pl.String:
        return series
    dtype = series.dtype
    if not (dtype.is_integer() or dtype.is_float() or dtype == pl.Decimal):
        return nulls(series, pl.String())
    if dtype.is_integer():
        whole = series.cast(pl.String)
    else:
        exact = only(series, series.cast(pl.Int64, strict=False).cast(dtype) == series)
        whole = exact.cast(pl.Int64, strict=False).cast(pl.String)
    width = digits_width(layout)
    return whole if width is None else whole.str.zfill(width)


def iso_of_format(texts: pl.Series, layout: str) -> pl.Series:
    """The plainly good texts of a simple format rewritten in ISO form, null for the rest."""
    if not _is_simple(layout):
        return nulls(texts, pl.String())
    parts = re.split("(%.)", layout)
    digits = {f"%{name}": f"[0-9]{{{width}}}" for name, width in _WIDTHS.items()}
    fit = matches(texts, "".join(digits.get(part, part.replace(".", "[.]")) for part in parts))
    plain = only(texts, fit)
    found: dict[str, pl.Series] = {}
    at = 0
    for part in parts:
        width = _WIDTHS[part[1]] if part.startswith("%") else len(part)
        found[part.lstrip("%")] = plain.str.slice(at, width)
        at += width
    if "Y" not in found:
        found["Y"] = _full_year(found["y"])
    iso: list[Any] = [found["Y"], pl.lit("-"), found["m"], pl.lit("-"), found["d"]]
    if "H" in found:
        iso += [pl.lit("T"), found["H"], pl.lit(":"), found["M"]]
        iso += [pl.lit(":"), found["S"]] if "S" in found else []
    return pl.select(pl.concat_str(iso)).to_series()


def _full_year(years: pl.Series) -> pl.Series:
    century = pl.when(years <= _LAST_OF_2000S).then(pl.lit("20")).otherwise(pl.lit("19"))
    return pl.select(pl.concat_str([century, years])).to_series()


@lru_cache
def _is_simple(layout: str) -> bool:
    """Whether a format is a whole date, perhaps a time, in numbers of fixed width."""
    names = _DIRECTIVE.findall(layout)
    year = set(names) & set("Yy")
    dated = len(year) == 1 and {"m", "d"} <= set(names) and len(names) == len(set(names))
    time = set(names) - {*year, "m", "d"}
    return (
        dated
        and time in (set(), {"H", "M"}, {"H", "M", "S"})
        and _PLAIN_LITERALS.fullmatch(_DIRECTIVE.sub("", layout)) is not None
    )


@lru_cache
def _full_width(layout: str) -> re.Pattern[str] | None:
    """What a text must look like where numbers follow each other without anything between.

    There ``strptime`` would guess which digits belong together.
    """
    if not _RUN_OF_DIGITS.search(layout):
        return None
    parts = re.split("(%.)", layout)
    width = {f"%{name}": f"[0-9]{{{digits}}}" for name, digits in _WIDTHS.items()}
    return re.compile(
        "".join(
            width.get(part, ".+?") if part.startswith("%") else re.escape(part) for part in parts
        )
    )


@lru_cache(maxsize=65_536)  # days repeat, and strptime takes 5 µs
def read_format(text: str, layout: str, kind: Temporal) -> Moment:
    """The moment that a text in the format stands for.

    Raises:
        Unfit: with the kind's reason; ``unusable_format`` for a format without a year, which
            ``strptime`` would make 1900, or with a zone's name, which it would forget.
    """
    names = set(_DIRECTIVE.findall(layout))
    if "Z" in names or (kind != "time" and not names & _YEARS):
        raise Unfit("unusable_format")
    full = _full_width(layout)
    foreign = any(character.isdigit() and not character.isascii() for character in text)
    if foreign or (full is not None and not full.fullmatch(text)):
        raise Unfit(f"not_a_{kind}")
    try:
        found = datetime.strptime(text, layout)
    except (ValueError, OverflowError):
        raise Unfit(f"not_a_{kind}") from None
    except re.error:
        raise Unfit("unusable_format") from None
    return Moment(found.replace(tzinfo=None), found.utcoffset())


def format_text(value: Any, layout: str, kind: Temporal) -> str:
    """One value as text for ``strptime``; a number gets back its zeros in front.

    Raises:
        Unfit: for a number with a fraction, and what is neither text nor number.
    """
    if isinstance(value, str):
        return value
    text = str(_whole(value, f"not_a_{kind}"))
    return text.zfill(digits_width(layout) or 0)


def read_epoch(value: Any, layout: str, kind: Temporal) -> Moment:
    """The moment that a whole number of the format's unit since 1970 stands for.

    Raises:
        Unfit: with the kind's reason.
    """
    count = _whole(value, f"not_a_{kind}") * EPOCHS[layout]
    if not FIRST <= count <= LAST:
        raise Unfit(f"{kind}_out_of_range")
    return Moment(datetime(1970, 1, 1) + timedelta(microseconds=count), timedelta(0))


def _whole(value: Any, garbage: str) -> int:
    exact = decimal_of(value, garbage)
    # 20 digits are more microseconds than there are years; int() of 1E+999999 would not end
    if (exact and exact.adjusted() > 20) or exact != exact.to_integral_value():
        raise Unfit(garbage)
    return int(exact)


def instants_of_epoch(series: pl.Series, layout: str) -> pl.Series:
    """Datetime[us, UTC] of whole numbers since 1970; null where a judge must look."""
    unit, dtype = EPOCHS[layout], series.dtype
    if dtype == pl.String:
        series = only(series, matches(series, "-?[0-9]{1,18}"))
    elif not dtype.is_integer():
        return nulls(series, pl.Datetime("us", "UTC"))
    counts = series.cast(pl.Int64, strict=False)
    # the bounds keep the product within 64 bits
    counts = only(counts, counts.is_between(-(-FIRST // unit), LAST // unit))
    return (counts * unit).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
