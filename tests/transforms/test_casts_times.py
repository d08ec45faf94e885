"""Dates, timestamps and times of day: zones, formats, the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.casting import Bad, cast_one, casts, same

EXACT = settings(deadline=None, max_examples=40)
BERLIN, TOKYO, NEW_YORK = "Europe/Berlin", "Asia/Tokyo", "America/New_York"
NOT_DATE, DATE_RANGE = Bad("not_a_date"), Bad("date_out_of_range")
NOT_STAMP, STAMP_RANGE = Bad("not_a_timestamp"), Bad("timestamp_out_of_range")
INEXACT, NAIVE, AMBIGUOUS = Bad("inexact_timestamp"), Bad("naive_timestamp"), Bad("ambiguous_time")
NOT_TIME, UNUSABLE = Bad("not_a_time"), Bad("unusable_format")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


DATES = [
    ("2026-03-01", date(2026, 3, 1)), ("0001-01-01", date.min), ("9999-12-31", date.max),
    ("2024-02-29", date(2024, 2, 29)), ("2000-02-29", date(2000, 2, 29)),
    ("2023-02-29", NOT_DATE), ("1900-02-29", NOT_DATE), ("2026-02-31", NOT_DATE),
    ("2026-04-31", NOT_DATE), ("2026-00-10", NOT_DATE), ("2026-01-00", NOT_DATE),
    ("2026-13-01", NOT_DATE), ("0000-00-00", DATE_RANGE), ("0000-01-01", DATE_RANGE),
    ("10000-01-01", DATE_RANGE), ("+12026-01-01", DATE_RANGE), ("-0044-03-15", DATE_RANGE),
    ("0044-03-15 BC", DATE_RANGE), ("4713-01-01 BC", DATE_RANGE),
    ("infinity", DATE_RANGE), ("-infinity", DATE_RANGE), ("Infinity", DATE_RANGE),
    ("", NOT_DATE), ("2026-3-1", NOT_DATE), ("01.03.2026", NOT_DATE), ("20260301", NOT_DATE),
    ("2026-03-01 ", NOT_DATE), ("2026-03-01\n", NOT_DATE), ("26-03-01", NOT_DATE),
    ("２０２６-03-01", NOT_DATE), ("today", NOT_DATE), ("2026-03-01T", NOT_DATE),
    ("2026-03-01T10:00:00", date(2026, 3, 1)), ("2026-03-01 23:59:59.999999", date(2026, 3, 1)),
    ("2026-03-01T10:00:00.123456789", date(2026, 3, 1)), ("2024-02-29 01:00:00", date(2024, 2, 29)),
    ("2026-03-01T23:30:00Z", date(2026, 3, 1)), ("2026-03-01T23:30:00-01:00", date(2026, 3, 2)),
    ("2026-03-01 25:00:00", NOT_DATE), ("2026-03-01T10:00:00+25:00", NOT_DATE),
    ("2026-03-01T24:00:00", DATE_RANGE), ("0001-01-01T00:00:00+01:00", DATE_RANGE),
    (date(2026, 3, 1), date(2026, 3, 1)), (datetime(2026, 3, 1, 23, 59), date(2026, 3, 1)),
    (utc(2026, 3, 1, 23, 59), date(2026, 3, 1)), (20260301, NOT_DATE), (1.5, NOT_DATE),
    (True, NOT_DATE), (b"2026-03-01", NOT_DATE), (time(1), NOT_DATE),
]  # fmt: skip

DATES_IN_A_ZONE = [
    ("2026-03-01T23:30:00Z", BERLIN, date(2026, 3, 2)),
    (utc(2026, 3, 1, 23, 30), BERLIN, date(2026, 3, 2)),
    (utc(2026, 3, 1, 3), NEW_YORK, date(2026, 2, 28)),
    (utc(2150, 7, 1, 22, 30), BERLIN, date(2150, 7, 2)),
    (utc(2150, 7, 1, 21, 30), BERLIN, date(2150, 7, 1)),
    ("2150-07-01T22:30:00Z", BERLIN, date(2150, 7, 2)),
    (datetime(2026, 3, 1, 23, 30), BERLIN, date(2026, 3, 1)),
    ("2026-03-29 02:30:00", BERLIN, date(2026, 3, 29)),
    ("9999-12-31T23:30:00Z", TOKYO, DATE_RANGE), (utc(9999, 12, 31, 23), TOKYO, DATE_RANGE),
    (utc(1, 1, 1, 1), NEW_YORK, DATE_RANGE), (utc(1950, 6, 1, 23, 30), BERLIN, date(1950, 6, 2)),
]  # fmt: skip

FORMATTED_DATES = [
    ("590131", "%y%m%d", date(2059, 1, 31)), ("680131", "%y%m%d", date(2068, 1, 31)),
    ("690131", "%y%m%d", date(1969, 1, 31)), ("991231", "%y%m%d", date(1999, 12, 31)),
    ("000229", "%y%m%d", date(2000, 2, 29)), ("010229", "%y%m%d", NOT_DATE),
    ("70101", "%y%m%d", NOT_DATE), ("0701011", "%y%m%d", NOT_DATE), ("", "%y%m%d", NOT_DATE),
    ("2026-01-01", "%y%m%d", NOT_DATE), (" 70101", "%y%m%d", NOT_DATE),
    (590131, "%y%m%d", date(2059, 1, 31)), (70101, "%y%m%d", date(2007, 1, 1)),
    (101, "%y%m%d", date(2000, 1, 1)), (0, "%y%m%d", NOT_DATE), (-70101, "%y%m%d", NOT_DATE),
    (1070101, "%y%m%d", NOT_DATE), (70101.0, "%y%m%d", date(2007, 1, 1)),
    (70101.5, "%y%m%d", NOT_DATE),
    (float("nan"), "%y%m%d", Bad("not_finite")), (20260301, "%Y%m%d", date(2026, 3, 1)),
    (20260231, "%Y%m%d", NOT_DATE), (2026060, "%Y%j", date(2026, 3, 1)),
    ("2026060", "%Y%j", date(2026, 3, 1)),
    ("202660", "%Y%j", NOT_DATE), ("01.03.2026", "%d.%m.%Y", date(2026, 3, 1)),
    ("1.3.2026", "%d.%m.%Y", date(2026, 3, 1)), ("31.02.2026", "%d.%m.%Y", NOT_DATE),
    ("01x03x2026", "%d.%m.%Y", NOT_DATE), ("2026-03-01", "%d.%m.%Y", NOT_DATE),
    ("29.02.2024", "%d.%m.%Y", date(2024, 2, 29)), ("03/01/26", "%m/%d/%y", date(2026, 3, 1)),
    ("01 Mar 2026", "%d %b %Y", date(2026, 3, 1)), ("1 March 2026", "%d %B %Y", date(2026, 3, 1)),
    ("01 Foo 2026", "%d %b %Y", NOT_DATE), ("２６0301", "%y%m%d", NOT_DATE),
    ("0000-01-01", "%Y-%m-%d", NOT_DATE), ("2026年03月01日", "%Y年%m月%d日", date(2026, 3, 1)),
    ("03-01", "%m-%d", UNUSABLE), ("2026-03-01 UTC", "%Y-%m-%d %Z", UNUSABLE),
    (date(2026, 3, 1), "%y%m%d", date(2026, 3, 1)),
    (datetime(2026, 3, 1, 5), "%y%m%d", date(2026, 3, 1)),
    (0, "epoch_s", date(1970, 1, 1)), ("86400", "epoch_s", date(1970, 1, 2)),
    ("01.03.2026 23:30:00 +0000", "%d.%m.%Y %H:%M:%S %z", date(2026, 3, 1)),
]  # fmt: skip

AWARE = [
    ("2026-03-01T10:00:00Z", utc(2026, 3, 1, 10)), ("2026-03-01 10:00:00Z", utc(2026, 3, 1, 10)),
    ("2026-03-01T10:00:00+02", utc(2026, 3, 1, 8)),
    ("2026-03-01T10:00:00+0230", utc(2026, 3, 1, 7, 30)),
    ("2026-03-01T10:00:00-02:30", utc(2026, 3, 1, 12, 30)),
    ("2026-03-01T10:00:00-00:00", utc(2026, 3, 1, 10)),
    ("2026-03-01T10:00Z", utc(2026, 3, 1, 10)),
    ("2026-03-01T10:00:00.5Z", utc(2026, 3, 1, 10, 0, 0, 500000)),
    ("2026-03-01T10:00:00.000001Z", utc(2026, 3, 1, 10, 0, 0, 1)),
    ("2026-03-01T10:00:00.123456000Z", utc(2026, 3, 1, 10, 0, 0, 123456)),
    ("2026-03-01T10:00:00.1234560Z", utc(2026, 3, 1, 10, 0, 0, 123456)),
    ("2026-03-01T10:00:00.1234567Z", INEXACT), ("2026-03-01T10:00:00.000000001Z", INEXACT),
    ("2026-03-01T10:00:00.0000000000Z", NOT_STAMP), ("2026-03-01T10:00:00.1234560000Z", NOT_STAMP),
    ("2026-03-01T10:00:00.123456000+01", utc(2026, 3, 1, 9, 0, 0, 123456)), ("x.1234560Z", NOT_STAMP), ("2026-03-01T10:00:00.Z", NOT_STAMP),
    ("2024-02-29T10:00:00Z", utc(2024, 2, 29, 10)), ("2023-02-29T10:00:00Z", NOT_STAMP),
    ("2026-03-01T24:00:00Z", STAMP_RANGE), ("2026-03-01T23:59:60Z", STAMP_RANGE),
    ("2026-03-01T24:00:01Z", NOT_STAMP), ("2026-03-01T10:60:00Z", NOT_STAMP),
    ("2026-03-01T10:00:61Z", NOT_STAMP), ("2026-03-01T10:00:00+24:00", NOT_STAMP),
    ("2026-03-01T10:00:00+01:60", NOT_STAMP), ("2026-03-01T10:00:00z", NOT_STAMP),
    ("2026-03-01t10:00:00Z", NOT_STAMP), ("2026-03-01T10:00:00 Z", NOT_STAMP),
    ("2026-03-01T1:00:00Z", NOT_STAMP), ("2026-03-01T10:00:00Z\n", NOT_STAMP),
    ("infinity", STAMP_RANGE), ("-infinity", STAMP_RANGE), ("0044-03-15 10:00:00Z BC", STAMP_RANGE),
    ("10000-01-01T00:00:00Z", STAMP_RANGE), ("0000-00-00 00:00:00", STAMP_RANGE),
    ("9999-12-31T23:59:59.999999Z", utc(9999, 12, 31, 23, 59, 59, 999999)),
    ("9999-12-31T23:59:59-01:00", STAMP_RANGE), ("0001-01-01T00:00:00Z", utc(1, 1, 1)),
    ("0001-01-01T00:00:00+00:01", STAMP_RANGE), ("", NOT_STAMP), ("now", NOT_STAMP),
    ("20260301T100000Z", NOT_STAMP), ("2026-03-01Z", NOT_STAMP), ("1772359200", NOT_STAMP),
    (utc(2026, 3, 1, 10), utc(2026, 3, 1, 10)),
    (datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2))), utc(2026, 3, 1, 8)),
    (1772359200, NOT_STAMP), (1.5, NOT_STAMP), (True, NOT_STAMP), (b"x", NOT_STAMP),
    ("2026-03-01T10:00:00", NAIVE), ("2026-03-01", NAIVE), (date(2026, 3, 1), NAIVE),
    (datetime(2026, 3, 1, 10), NAIVE),
]  # fmt: skip

NAIVE_IN_BERLIN = [
    ("2026-01-01 10:00:00", utc(2026, 1, 1, 9)), ("2026-07-01 10:00:00", utc(2026, 7, 1, 8)),
    ("2026-07-01T10:00:00.25", utc(2026, 7, 1, 8, 0, 0, 250000)),
    ("2026-07-01", utc(2026, 6, 30, 22)),
    ("2026-07-01 10:00:00Z", utc(2026, 7, 1, 10)), ("2026-07-01 10:00", utc(2026, 7, 1, 8)),
    ("2026-03-29 01:59:59", utc(2026, 3, 29, 0, 59, 59)), ("2026-03-29 02:00:00", AMBIGUOUS),
    ("2026-03-29 02:30:00", AMBIGUOUS), ("2026-03-29 03:00:00", utc(2026, 3, 29, 1)),
    ("2026-10-25 01:59:59", utc(2026, 10, 24, 23, 59, 59)), ("2026-10-25 02:00:00", AMBIGUOUS),
    ("2026-10-25 02:59:59", AMBIGUOUS), ("2026-10-25 03:00:00", utc(2026, 10, 25, 2)),
    ("2150-07-01 12:00:00", utc(2150, 7, 1, 10)), ("2150-01-01 12:00:00", utc(2150, 1, 1, 11)),
    ("1960-07-01 12:00:00", utc(1960, 7, 1, 11)),
    ("9999-12-31 23:59:59", utc(9999, 12, 31, 22, 59, 59)),
    ("0001-01-01 00:00:00", STAMP_RANGE),
    (datetime(2026, 7, 1, 10), utc(2026, 7, 1, 8)), (datetime(2026, 3, 29, 2, 30), AMBIGUOUS),
    (datetime(2026, 10, 25, 2, 30), AMBIGUOUS), (datetime(2150, 7, 1, 12), utc(2150, 7, 1, 10)),
    (date(2026, 7, 1), utc(2026, 6, 30, 22)), (utc(2026, 7, 1, 10), utc(2026, 7, 1, 10)),
    (datetime(1, 1, 1), STAMP_RANGE),
]  # fmt: skip

FORMATTED_TIMESTAMPS = [
    (0, "epoch_s", utc(1970, 1, 1)), (1772359200, "epoch_s", utc(2026, 3, 1, 10)),
    (1772359200123, "epoch_ms", utc(2026, 3, 1, 10, 0, 0, 123000)),
    (1772359200123456, "epoch_us", utc(2026, 3, 1, 10, 0, 0, 123456)),
    (-1, "epoch_us", utc(1969, 12, 31, 23, 59, 59, 999999)),
    ("1772359200", "epoch_s", utc(2026, 3, 1, 10)),
    (1772359200.0, "epoch_s", utc(2026, 3, 1, 10)), (1.5, "epoch_s", NOT_STAMP),
    (253402300799, "epoch_s", utc(9999, 12, 31, 23, 59, 59)),
    (253402300800, "epoch_s", STAMP_RANGE),
    (-62135596800, "epoch_s", utc(1, 1, 1)), (-62135596801, "epoch_s", STAMP_RANGE),
    (2**63 - 1, "epoch_us", STAMP_RANGE), (2**63 - 1, "epoch_s", STAMP_RANGE),
    ("9" * 30, "epoch_s", NOT_STAMP),
    ("x", "epoch_s", NOT_STAMP), ("", "epoch_s", NOT_STAMP), (True, "epoch_s", NOT_STAMP),
    ("20260301100000", "%Y%m%d%H%M%S", utc(2026, 3, 1, 9)),
    (20260301100000, "%Y%m%d%H%M%S", utc(2026, 3, 1, 9)),
    ("202603011000", "%Y%m%d%H%M", utc(2026, 3, 1, 9)),
    ("20260301106000", "%Y%m%d%H%M%S", NOT_STAMP),
    ("01.03.2026 10:00", "%d.%m.%Y %H:%M", utc(2026, 3, 1, 9)),
    ("01.03.2026 10:00:00.25", "%d.%m.%Y %H:%M:%S.%f", utc(2026, 3, 1, 9, 0, 0, 250000)),
    ("01.03.2026 10:00:60", "%d.%m.%Y %H:%M:%S", NOT_STAMP),
    ("29.03.2026 02:30", "%d.%m.%Y %H:%M", AMBIGUOUS),
    ("2026-03-01 10:00:00 -0500", "%Y-%m-%d %H:%M:%S %z", utc(2026, 3, 1, 15)),
    ("01/03/26 10", "%d/%m/%y %H", utc(2026, 3, 1, 9)),
    (datetime(2026, 3, 1, 10), "%y%m%d", utc(2026, 3, 1, 9)),
    (date(2026, 3, 1), "epoch_s", utc(2026, 2, 28, 23)),
]  # fmt: skip

TIMES = [
    ("10:00:00", "10:00:00"), ("23:59:59.999999", "23:59:59.999999"),
    ("10:00:00.5", "10:00:00.500000"),
    ("10:00:00.500", "10:00:00.500000"), ("10:00:00.000", "10:00:00"),
    ("10:00:00.123456000", "10:00:00.123456"),
    ("10:00:00.1234567", NOT_TIME), ("24:00:00", NOT_TIME), ("10:00:60", NOT_TIME),
    ("838:59:59", NOT_TIME),
    ("-01:00:00", NOT_TIME), ("10:00", NOT_TIME), ("1:00:00", NOT_TIME), ("10:00:00+02", NOT_TIME),
    ("10:00:00Z", NOT_TIME), ("", NOT_TIME), ("noon", NOT_TIME), ("10:00:00\n", NOT_TIME),
    (time(10, 0, 0), "10:00:00"), (time(10, 0, 0, 5), "10:00:00.000005"), (5, NOT_TIME),
    (datetime(2026, 3, 1, 10), NOT_TIME),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), DATES)
def test_dates(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "date"), expected)


@pytest.mark.parametrize(("value", "zone", "expected"), DATES_IN_A_ZONE)
def test_dates_in_a_zone(value: Any, zone: str, expected: Any) -> None:
    assert same(cast_one(value, "date", zone=zone), expected)


@pytest.mark.parametrize(("value", "layout", "expected"), FORMATTED_DATES)
def test_dates_in_a_format(value: Any, layout: str, expected: Any) -> None:
    assert same(cast_one(value, "date", format=layout), expected)


@pytest.mark.parametrize(("value", "expected"), AWARE)
def test_timestamps_without_a_zone_declared(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "timestamp"), expected)


@pytest.mark.parametrize(("value", "expected"), NAIVE_IN_BERLIN)
def test_timestamps_in_a_zone(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "timestamp", zone=BERLIN), expected)


@pytest.mark.parametrize(("value", "layout", "expected"), FORMATTED_TIMESTAMPS)
def test_timestamps_in_a_format(value: Any, layout: str, expected: Any) -> None:
    assert same(cast_one(value, "timestamp", format=layout, zone=BERLIN), expected)


@pytest.mark.parametrize(("value", "expected"), TIMES)
def test_times(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "time"), expected)


def test_times_in_a_format() -> None:
    assert casts(["1005", "2460", None], "time", format="%H%M") == ["10:05:00", NOT_TIME, None]
    assert casts([905, None], "time", format="%H%M") == ["09:05:00", None]


def test_the_columns_zone_goes_before_the_datasets() -> None:
    found = casts(["2026-07-01 12:00:00"], "timestamp", zone=TOKYO, timezone=BERLIN)
    assert found == [utc(2026, 7, 1, 10)]


def test_text_of_a_date_column_is_iso_though_a_format_is_given() -> None:
    texts = ["2026-03-01", "infinity", "260301"]
    assert casts(texts, "date", format="%y%m%d", delivered="date") == [
        date(2026, 3, 1),
        DATE_RANGE,
        date(2026, 3, 1),
    ]


def test_aware_and_naive_text_in_one_column() -> None:
    texts = ["2026-07-01T10:00:00Z", "2026-07-01 10:00:00", "x", None, "2026-07-01"]
    assert casts(texts, "timestamp", zone=BERLIN) == [
        utc(2026, 7, 1, 10), utc(2026, 7, 1, 8), NOT_STAMP, None, utc(2026, 6, 30, 22)
    ]  # fmt: skip


@pytest.mark.parametrize("days", [-719163, 2932897, 2**31 - 1, -(2**31)])
def test_arrow_dates_beyond_the_years(days: int) -> None:
    series = pl.Series([days, 0, None], dtype=pl.Int32).cast(pl.Date)
    assert casts(series, "date") == [DATE_RANGE, date(1970, 1, 1), None]
    assert casts(series, "timestamp", zone="UTC") == [STAMP_RANGE, utc(1970, 1, 1), None]


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("count", [2**63 - 1, -(2**63) + 1, 10**18, -(10**18)])
def test_arrow_timestamps_beyond_the_years(unit: Any, count: int) -> None:
    series = pl.Series([count, 0, None], dtype=pl.Int64).cast(pl.Datetime(unit))
    assert casts(series, "date") == [DATE_RANGE, date(1970, 1, 1), None]
    assert casts(series, "timestamp", zone="UTC") == [STAMP_RANGE, utc(1970, 1, 1), None]
    aware = series.dt.replace_time_zone("UTC")
    assert casts(aware, "timestamp") == [STAMP_RANGE, utc(1970, 1, 1), None]
    assert casts(aware, "date", zone=TOKYO) == [DATE_RANGE, date(1970, 1, 1), None]


def test_nanoseconds_are_exact_or_bad() -> None:
    series = pl.Series([1, 1000, -1000, None, 2**63 - 1]).cast(pl.Datetime("ns"))
    assert casts(series, "timestamp", zone="UTC") == [
        INEXACT, utc(1970, 1, 1, 0, 0, 0, 1), utc(1969, 12, 31, 23, 59, 59, 999999), None, INEXACT
    ]  # fmt: skip
    assert casts(series, "date")[:2] == [date(1970, 1, 1)] * 2


def test_a_zone_of_arrow_is_heeded() -> None:
    series = pl.Series([datetime(2026, 7, 1, 1)]).dt.replace_time_zone(BERLIN)
    assert casts(series, "timestamp", zone=TOKYO) == [utc(2026, 6, 30, 23)]
    assert casts(series, "date") == [date(2026, 6, 30)]
    assert casts(series, "date", zone=BERLIN) == [date(2026, 7, 1)]


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(timezones=OFFSETS)


@EXACT
@given(st.lists(MOMENTS, max_size=20), st.sampled_from("T "))
def test_aware_text_against_python(moments: list[datetime], separator: str) -> None:
    found = casts([m.isoformat(separator) for m in moments], "timestamp", dtype=pl.String)
    for moment, one in zip(moments, found, strict=True):
        try:
            assert one == moment.astimezone(UTC)
        except OverflowError:
            assert one == STAMP_RANGE


@EXACT
@given(
    st.lists(st.datetimes(), max_size=20),
    st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
)
def test_naive_times_against_zoneinfo(moments: list[datetime], zone: str) -> None:
    expected: list[Any] = []
    for moment in moments:
        local = moment.replace(tzinfo=ZoneInfo(zone))
        try:
            ambiguous = local.utcoffset() != local.replace(fold=1).utcoffset()
            expected.append(AMBIGUOUS if ambiguous else local.astimezone(UTC))
        except OverflowError:
            expected.append(STAMP_RANGE)
    texts = [moment.isoformat(" ") for moment in moments]
    assert casts(texts, "timestamp", dtype=pl.String, zone=zone) == expected
    assert casts(moments, "timestamp", dtype=pl.Datetime("us"), zone=zone) == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo"])
def test_every_half_hour_of_a_year_against_zoneinfo(zone: str) -> None:
    moments = [datetime(2016, 1, 1) + timedelta(minutes=30 * n) for n in range(48 * 365)]
    place, expected = ZoneInfo(zone), []
    for moment in moments:
        local = moment.replace(tzinfo=place)
        twice = local.utcoffset() != local.replace(fold=1).utcoffset()
        expected.append(AMBIGUOUS if twice else local.astimezone(UTC))
    assert casts(moments, "timestamp", zone=zone) == expected


@EXACT
@given(st.lists(st.dates(), max_size=20))
def test_dates_against_python(days: list[date]) -> None:
    assert casts([d.isoformat() for d in days], "date", dtype=pl.String) == days
    assert casts(days, "date", dtype=pl.Date) == days


@EXACT
@given(
    st.lists(st.dates(date(1969, 1, 1), date(2068, 12, 31)), max_size=20),
    st.sampled_from(["%y%m%d", "%d.%m.%y", "%Y%m%d", "%m/%d/%Y", "%d%b%Y", "%Y%j", "%B %d, %Y"]),
)
def test_formats_against_strptime(days: list[date], layout: str) -> None:
    texts = [day.strftime(layout) for day in days]
    assert casts(texts, "date", dtype=pl.String, format=layout) == days
    if texts and all(text.isdigit() for text in texts):
        assert casts([int(text) for text in texts], "date", format=layout) == days


@EXACT
@given(st.lists(st.times(), max_size=20))
def test_times_against_python(times: list[time]) -> None:
    texts = [moment.isoformat() for moment in times]
    assert casts(texts, "time", dtype=pl.String) == texts
    assert casts(times, "time", dtype=pl.Time) == texts
