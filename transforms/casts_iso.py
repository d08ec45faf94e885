"""ISO dates and timestamps: read exactly, or refused with the reason."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

from transforms.casts_outcome import Unfit, nulls, only
from transforms.casts_text import matches
from transforms.casts_years import FIRST, LAST, microseconds

Temporal = Literal["date", "timestamp", "time"]

_ISO = re.compile(
    r"(?P<year>[+-]?[0-9]{4,})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?)?(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
    r"(?P<era> BC| AD)?"
)
_INFINITE = ("infinity", "+infinity", "-infinity")
_MICROSECOND_DIGITS = 6

# What Arrow reads is checked first: it would refuse the whole column for one bad date.
# 29 February is left to the judge, so that no pattern has to know leap years.
_DATE = (
    "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_TIME = r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_OFFSET = "(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
# Sources of 100 ns or 1 ns write zeros that Arrow's microseconds have no place for
_LONG_FRACTION = r"(\.[0-9]{6})0{1,3}(Z|[+-]|$)"
_DATE_LENGTH = len("2026-01-01")

FIRST_YEAR, BEYOND_YEAR = 1970, 2100
"""The years for which the zones of Polars are trusted: chrono-tz knows no rules after 2099, and
not all builds of the tz database tell the same of the time before 1970."""


class Moment(NamedTuple):
    """A time of a calendar, and how far it is from UTC, where that is known."""

    local: datetime
    offset: timedelta | None = None


_TRUSTED = (microseconds(datetime(FIRST_YEAR, 1, 2)), microseconds(datetime(BEYOND_YEAR, 1, 1)) - 1)


def read_iso(text: str, kind: Temporal) -> Moment:
    """The moment that a date or timestamp in ISO form stands for; midnight for a date.

    Fractions of a microsecond are no part of a date and are passed over there.

    Raises:
        Unfit: with the kind's reason.
    """
    if text.lower() in _INFINITE:
        raise Unfit(f"{kind}_out_of_range")
    found = _ISO.fullmatch(text)
    if found is None:
        raise Unfit(f"not_a_{kind}")
    year = found["year"]
    if len(year) > len("9999") or year == "0000" or found["era"] == " BC":
        raise Unfit(f"{kind}_out_of_range")
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if second == 60 or (hour, minute, second) == (24, 0, 0):
        raise Unfit(f"{kind}_out_of_range")
    fraction = (found["fraction"] or "").ljust(_MICROSECOND_DIGITS, "0")
    if kind != "date" and fraction[_MICROSECOND_DIGITS:].strip("0"):
        raise Unfit(f"inexact_{kind}")
    micro = int(fraction[:_MICROSECOND_DIGITS])
    month, day = int(found["month"]), int(found["day"])
    try:
        local = datetime(int(year), month, day, hour, minute, second, micro)
    except ValueError:
        raise Unfit(f"not_a_{kind}") from None
    return Moment(local, _offset(found["offset"], kind))


def _offset(text: str | None, kind: Temporal) -> timedelta | None:
    if text is None or text == "Z":
        return None if text is None else timedelta(0)
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise Unfit(f"not_a_{kind}")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if text[0] == "-" else offset


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def to_instant(moment: Moment, zone: str | None) -> datetime:
    """The moment in UTC.

    Raises:
        Unfit: ``naive_timestamp`` without a zone; ``ambiguous_time`` where the zone's clocks
            show the time twice or never; ``timestamp_out_of_range``.
    """
    offset = moment.offset
    if offset is None:
        if zone is None:
            raise Unfit("naive_timestamp")
        local = moment.local.replace(tzinfo=_zone(zone))
        offset = local.utcoffset()
        if offset is None or offset != local.replace(fold=1).utcoffset():
            raise Unfit("ambiguous_time")
    try:
        return (moment.local - offset).replace(tzinfo=UTC)
    except OverflowError:
        raise Unfit("timestamp_out_of_range") from None


def to_date(moment: Moment, zone: str | None) -> date:
    """The moment's date: its own if it has no offset, else that in the zone (default: UTC).

    Raises:
        Unfit: ``date_out_of_range``.
    """
    if moment.offset is None:
        return moment.local.date()
    try:
        instant = (moment.local - moment.offset).replace(tzinfo=UTC)
        return instant.astimezone(_zone(zone or "UTC")).date()
    except OverflowError:
        raise Unfit("date_out_of_range") from None


def instants_of_text(texts: pl.Series, zone: str | None) -> pl.Series:
    """Datetime[us, UTC] of the plainly good ISO texts, null for the rest."""
    aware = matches(texts, _DATE + _TIME + _OFFSET)
    if aware.all(ignore_nulls=True):
        return _aware(texts)
    if texts.str.contains(_LONG_FRACTION).any():
        texts = texts.str.replace(_LONG_FRACTION, "${1}${2}")
        aware = matches(texts, _DATE + _TIME + _OFFSET)
    naive = matches(texts, f"{_DATE}(?:{_TIME})?")
    local = pl.Series(only(texts, naive).to_arrow().cast(pa.timestamp("us")))
    found = instants(local, zone)
    if not aware.any():
        return found
    return _aware(only(texts, aware)).zip_with(aware.fill_null(False), found)


def _aware(texts: pl.Series) -> pl.Series:
    found = pl.Series(texts.to_arrow().cast(pa.timestamp("us", "UTC")))
    return only(found, found.to_physical().is_between(FIRST, LAST))


def dates_of_text(texts: pl.Series, zone: str | None) -> pl.Series:
    """Date of the plainly good ISO texts, null for the rest."""
    naive = matches(texts, f"{_DATE}(?:{_TIME})?")
    days = only(texts, naive).str.head(_DATE_LENGTH)
    found = pl.Series(days.to_arrow().cast(pa.date32()))
    if naive.all(ignore_nulls=True):
        return found
    aware = matches(texts, _DATE + _TIME + _OFFSET)
    if not aware.any():
        return found
    return days_of(_aware(only(texts, aware)), zone).zip_with(aware.fill_null(False), found)


def instants(moments: pl.Series, zone: str | None) -> pl.Series:
    """Datetime[us, UTC] of Datetime[us] within range; null where a judge must look."""
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
        return moments.dt.convert_time_zone("UTC")
    if zone is None:
        return nulls(moments, pl.Datetime("us", "UTC"))
    if zone == "UTC":
        return moments.dt.replace_time_zone("UTC")
    trusted = only(moments, moments.to_physical().is_between(*_TRUSTED))
    local = trusted.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def days_of(moments: pl.Series, zone: str | None) -> pl.Series:
    """Date of Datetime[us] within range; null where a judge must look."""
    if not isinstance(moments.dtype, pl.Datetime) or moments.dtype.time_zone is None:
        return moments.dt.date()
    if zone in (None, "UTC"):
        return moments.dt.convert_time_zone("UTC").dt.date()
    trusted = only(moments, moments.to_physical().is_between(*_TRUSTED))
    return trusted.dt.convert_time_zone(zone or "UTC").dt.date()
