"""Casts to date, timestamp and time of day."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import polars as pl

from transforms.casts_formats import (
    EPOCHS,
    format_text,
    instants_of_epoch,
    iso_of_format,
    padded,
    read_epoch,
    read_format,
)
from transforms.casts_iso import (
    Moment,
    Temporal,
    dates_of_text,
    days_of,
    instants,
    instants_of_text,
    read_iso,
    to_date,
    to_instant,
)
from transforms.casts_outcome import (
    Cast,
    Judge,
    Unfit,
    Wanted,
    join,
    nulls,
    only,
    refuse_all,
    settle,
)
from transforms.casts_text import matches, plain_text
from transforms.casts_years import within_years

UTC_TIMESTAMP = pl.Datetime("us", "UTC")

_TEMPORAL = ("date", "timestamp", "time")
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_TIME_TEXT = re.compile(rf"({_TIME})(?:\.([0-9]{{1,9}}))?")


def _reader(wanted: Wanted, kind: Temporal) -> Callable[[Any], Moment]:
    """Reads one value as a moment: by the format, else as ISO."""
    layout = wanted.column.format
    dated = wanted.delivered is not None and wanted.delivered.kind in _TEMPORAL

    def read(value: Any) -> Moment:
        if isinstance(value, datetime):
            return Moment(value.replace(tzinfo=None), value.utcoffset())
        if isinstance(value, date):
            return Moment(datetime(value.year, value.month, value.day))
        if layout in EPOCHS and not (dated and isinstance(value, str) and "-" in value[1:]):
            return read_epoch(value, layout, kind)
        if layout is None or layout in EPOCHS:
            return _read_text(value, kind)
        try:
            return read_format(format_text(value, layout, kind), layout, kind)
        except Unfit:
            if not dated:
                raise
        # the source knows dates: it wrote this one in ISO form, as far as it can be written
        return _read_text(value, kind)

    return read


def _read_text(value: Any, kind: Temporal) -> Moment:
    if not isinstance(value, str):
        raise Unfit(f"not_a_{kind}")
    return read_iso(value, kind)


def date_judge(wanted: Wanted) -> Judge:
    """The rule for dates, as a ``date``."""
    read = _reader(wanted, "date")
    return lambda value: to_date(read(value), wanted.timezone)


def timestamp_judge(wanted: Wanted) -> Judge:
    """The rule for timestamps, as a ``datetime`` in UTC."""
    read = _reader(wanted, "timestamp")
    return lambda value: to_instant(read(value), wanted.timezone)


def cast_date(series: pl.Series, wanted: Wanted) -> Cast:
    """Date within the years 1 to 9999."""
    judge, zone = date_judge(wanted), wanted.timezone
    if series.dtype in (pl.Date, pl.Datetime):
        iso = date_judge(_without_format(wanted))
        return _from_temporal(series, pl.Date(), iso, lambda moments: days_of(moments, zone))
    texts, found = _read(series, wanted)
    if texts is None:
        return refuse_all(series, pl.Date(), "not_a_date")
    if found.dtype == pl.String:
        return settle(texts, dates_of_text(found, zone), judge)
    return settle(texts, days_of(found, zone), judge)


def cast_timestamp(series: pl.Series, wanted: Wanted) -> Cast:
    """Datetime in UTC, microseconds, within the years 1 to 9999."""
    judge, zone = timestamp_judge(wanted), wanted.timezone
    if series.dtype in (pl.Date, pl.Datetime):
        iso = timestamp_judge(_without_format(wanted))
        return _from_temporal(series, UTC_TIMESTAMP, iso, lambda moments: instants(moments, zone))
    texts, found = _read(series, wanted)
    if texts is None:
        return refuse_all(series, UTC_TIMESTAMP, "not_a_timestamp")
    if found.dtype == pl.String:
        return settle(texts, instants_of_text(found, zone), judge)
    return settle(texts, found, judge)


def _read(series: pl.Series, wanted: Wanted) -> tuple[pl.Series | None, pl.Series]:
    """What the judge is to see, and what is plainly good of it: as ISO text or as instants.

    The first is None where the column's type can be no date at all.
    """
    layout, dtype = wanted.column.format, series.dtype
    numeric = dtype.is_numeric()  # decimals too
    if not (dtype == pl.String or (numeric and layout is not None)):
        return None, series
    if layout is None:
        return series, series
    if layout in EPOCHS:
        return series, instants_of_epoch(series, layout)
    if numeric:
        texts = padded(series, layout)
        return series, iso_of_format(texts, layout)
    return series, iso_of_format(series, layout)


def _without_format(wanted: Wanted) -> Wanted:
    return replace(wanted, column=wanted.column.model_copy(update={"format": None}))


def _from_temporal(
    series: pl.Series,
    dtype: pl.DataType,
    judge: Judge,
    convert: Callable[[pl.Series], pl.Series],
) -> Cast:
    """The cast of a Date or Datetime column.

    What lies within the years 1 to 9999 is converted, or judged by its text, as Python's own
    types have no nanoseconds; what does not is beyond.
    """
    kind = "date" if dtype == pl.Date else "timestamp"
    within = within_years(series)
    inside = only(series, within)
    cast = settle(inside, convert(_as_microseconds(inside)), judge, shown_as=plain_text)
    if inside.null_count() == series.null_count():
        return cast
    return join(cast, refuse_all(series, dtype, f"{kind}_out_of_range"), ~within.fill_null(True))


def _as_microseconds(series: pl.Series) -> pl.Series:
    if not isinstance(series.dtype, pl.Datetime):
        return series.cast(pl.Datetime("us"))
    if series.dtype.time_unit == "ns":
        series = only(series, series.to_physical() % 1_000 == 0)
    return series.dt.cast_time_unit("us")


def time_judge(wanted: Wanted) -> Judge:
    """The rule for times of day, as text: microseconds only where there are any."""
    layout = wanted.column.format

    def judge(value: Any) -> str:
        if isinstance(value, time):
            return value.isoformat()
        if layout is not None and isinstance(value, str | int | float):
            moment = read_format(format_text(value, layout, "time"), layout, "time")
            return moment.local.time().isoformat()
        found = _TIME_TEXT.fullmatch(value) if isinstance(value, str) else None
        fraction = (found[2] or "").rstrip("0") if found else ""
        if found is None or len(fraction) > len("000000"):
            raise Unfit("not_a_time")
        return f"{found[1]}.{fraction:0<6}" if fraction else found[1]

    return judge


def cast_time(series: pl.Series, wanted: Wanted) -> Cast:
    """Times of day as canonical text."""
    if series.dtype == pl.Time:
        series = series.dt.to_string("%H:%M:%S%.9f")
    formatted = wanted.column.format is not None
    if series.dtype != pl.String and not (formatted and series.dtype.is_numeric()):
        return refuse_all(series, pl.String(), "not_a_time")
    if formatted:
        return settle(series, nulls(series, pl.String()), time_judge(wanted))
    return settle(series, only(series, matches(series, _TIME)), time_judge(wanted))
