"""Dates and times: infinite, before Christ, after 9999, zero, at 24:00, in and out of zones."""

from __future__ import annotations

from datetime import UTC, datetime

from bson.datetime_ms import DatetimeMS

from tests.values.value import Group, Value, as_text, refused, text, to

DATES = [
    *(
        "1970-01-01",
        "2024-01-31",
        "2024-02-29",
        "2000-02-29",
        "1900-02-28",
        "1999-12-31",
        "1582-10-10",
    ),
    *("0001-01-01", "9999-12-31", "1752-09-05", "2038-01-19", "1969-12-31", "0999-06-15"),
]
NO_DATES = [
    *("", " ", "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-00"),
    *(
        "2024-1-31",
        "24-01-31",
        "2024/01/31",
        "31.01.2024",
        "20240131",
        "2024-01-31 ",
        " 2024-01-31",
    ),
    *("tomorrow", "NaN", "null", "2024-01-31T25:00:00", "2024-01-31T12:60:00", "\u0662024-01-31"),
]
FAR_DATES = [
    "0000-00-00",
    "0000-01-01",
    "10000-01-01",
    "-0001-01-01",
    "infinity",
    "-infinity",
    "Infinity",
]
TEXT = {"postgres": "text", "mariadb": "varchar(99)", "sqlite": "text", "mongodb": ""}

BERLIN = {
    "2024-01-31 12:00:00": "2024-01-31T11:00:00Z", "2024-07-01 12:00:00": "2024-07-01T10:00:00Z",
    "2024-03-31 01:59:59": "2024-03-31T00:59:59Z", "2024-03-31 03:00:00": "2024-03-31T01:00:00Z",
    "2024-10-27 01:59:59": "2024-10-26T23:59:59Z", "2024-10-27 03:00:00": "2024-10-27T02:00:00Z",
    "2024-02-29 00:00:00": "2024-02-28T23:00:00Z", "1970-01-01 00:00:00": "1969-12-31T23:00:00Z",
    "2024-01-31 12:00:00.5": "2024-01-31T11:00:00.500Z",
    "2024-01-31 12:00:00.123456": "2024-01-31T11:00:00.123456Z",
    "2150-07-01 12:00:00": "2150-07-01T10:00:00Z", "2150-01-01 12:00:00": "2150-01-01T11:00:00Z",
    "9999-12-31 23:59:59.999999": "9999-12-31T22:59:59.999999Z",
    "1943-03-29 01:59:59": "1943-03-29T00:59:59Z", "1945-06-01 12:00:00": "1945-06-01T09:00:00Z",
}  # fmt: skip
NO_BERLIN = ["2024-03-31 02:30:00", "2024-03-31 02:00:00", "2024-03-31 02:59:59.999999", "2024-10-27 02:30:00",
             "2024-10-27 02:00:00", "2023-10-29 02:15:00", "1980-04-06 02:30:00"]  # fmt: skip

INSTANTS = {
    "2024-01-31 12:00:00+00": "2024-01-31T12:00:00Z", "2024-01-31 12:00:00+02": "2024-01-31T10:00:00Z",
    "2024-01-31 12:00:00-12:00": "2024-02-01T00:00:00Z", "2024-01-31 12:00:00+14:00": "2024-01-30T22:00:00Z",
    "2024-01-31 12:00:00+05:45": "2024-01-31T06:15:00Z", "2024-01-31 12:00:00.123456+00": "2024-01-31T12:00:00.123456Z",
    "1969-12-31 23:59:59.999999+00": "1969-12-31T23:59:59.999999Z", "2024-10-27 02:30:00+02": "2024-10-27T00:30:00Z",
    "2024-10-27 02:30:00+01": "2024-10-27T01:30:00Z", "2024-06-30 23:59:59+00": "2024-06-30T23:59:59Z",
}  # fmt: skip
OLD_INSTANTS = {
    "0001-01-01 00:00:00+00": "0001-01-01T00:00:00Z", "9999-12-31 23:59:59.999999+00": "9999-12-31T23:59:59.999999Z",
    "1582-10-10 00:00:00+00": "1582-10-10T00:00:00Z", "2262-04-12 00:00:00+00": "2262-04-12T00:00:00Z",
}  # fmt: skip
TIMES = {
    "00:00:00": '"00:00:00"', "23:59:59": '"23:59:59"', "12:00:00.5": '"12:00:00.500000"',
    "09:30:00": '"09:30:00"', "23:59:59.999999": '"23:59:59.999999"', "12:34:56.000001": '"12:34:56.000001"',
}  # fmt: skip


def instants(pairs: dict[str, str], only: tuple[str, ...] = ()) -> list[Value]:
    return to({given: text(expected) for given, expected in pairs.items()}, only)


def _utc(given: str) -> datetime:
    return datetime.fromisoformat(given).replace(tzinfo=UTC)


FIRST_MS = -62_135_596_800_000
"""The year 1 begins."""
LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

GROUPS = (
    Group(
        "date",
        "{type: date}",
        {"postgres": "date", "mariadb": "date"},
        (
            *as_text(*DATES),
            *refused("date_out_of_range", "infinity", "-infinity", "0044-03-15 BC", only=("postgres",)),
            *refused("date_out_of_range", "10000-01-01", "5874897-12-31", only=("postgres",)),
            *refused("date_out_of_range", "0000-00-00", only=("mariadb",)),
            *refused("not_a_date", "2024-00-10", "2024-02-00", only=("mariadb",)),
        ),
    ),
    Group(
        "text_as_date",
        "{type: date}",
        TEXT,
        (
            *as_text(*DATES),
            *to({"2024-01-31T23:59:59": '"2024-01-31"', "2024-01-31 00:00:00.123456789": '"2024-01-31"'}),
            *to({"2024-01-31T23:30:00-02:00": '"2024-02-01"', "2024-01-31T00:30:00+02:00": '"2024-01-30"'}),
            *refused("date_out_of_range", *FAR_DATES, "2024-01-31T24:00:00", "2016-12-31T23:59:60"),
            *refused("not_a_date", *NO_DATES),
        ),
    ),
    Group(
        "date_of_instant",
        "{type: date}",
        {"mongodb": ""},
        (
            *to({_utc("2024-01-31T00:00:00"): '"2024-01-31"', _utc("2024-01-31T23:59:59.999"): '"2024-01-31"'}),
            *refused("date_out_of_range", DatetimeMS(LAST_MS + 1), DatetimeMS(FIRST_MS - 1)),
            *to([(DatetimeMS(FIRST_MS), '"0001-01-01"')]),
            *refused("not_a_date", 20240131, 1.5, True),
            *refused("unreadable", {"d": 1}, b"x"),
        ),
    ),
    Group(
        "written_date",
        '{type: date, format: "%d.%m.%Y"}',
        TEXT,
        (
            *to({"31.01.2024": '"2024-01-31"', "29.02.2024": '"2024-02-29"', "01.01.0001": '"0001-01-01"'}),
            *refused("not_a_date", "31.02.2024", "29.02.2023", "2024.01.31", "31/01/2024", "31.01.24", "", "x"),
        ),
    ),
    Group(
        "seconds",
        "{type: timestamp, format: epoch_s}",
        {"postgres": "bigint", "mariadb": "bigint", "sqlite": "integer", "mongodb": ""},
        (
            *to({0: '"1970-01-01T00:00:00Z"', 1706702400: '"2024-01-31T12:00:00Z"', -1: '"1969-12-31T23:59:59Z"'}),
            *to({253402300799: '"9999-12-31T23:59:59Z"'}),
            *refused("timestamp_out_of_range", 253402300800, -62135596801, 10**15),
        ),
    ),
    Group(
        "local_time",
        "{type: timestamp, timezone: Europe/Berlin}",
        {"postgres": "timestamp", "mariadb": "datetime(6)", "sqlite": "text", "mongodb": ""},
        (
            *instants(BERLIN),
            *refused("ambiguous_time", *NO_BERLIN),
            *refused("timestamp_out_of_range", "infinity", "-infinity", only=("postgres", "sqlite", "mongodb")),
            *refused("timestamp_out_of_range", "10000-01-01 00:00:00", only=("postgres", "sqlite", "mongodb")),
            *refused("timestamp_out_of_range", "0044-03-15 00:00:00 BC", only=("postgres", "sqlite")),
            *refused("timestamp_out_of_range", "0001-01-01 00:00:00"),
            *refused("timestamp_out_of_range", "0000-00-00 00:00:00", only=("mariadb", "sqlite", "mongodb")),
            *refused("not_a_timestamp", "2024-00-00 00:00:00", only=("mariadb", "sqlite", "mongodb")),
        ),
    ),
    Group(
        "naive_time",
        "{type: timestamp}",  # `check` refuses columns that have no zone by their type
        {"postgres": "text", "mariadb": "varchar(40)", "sqlite": "text", "mongodb": ""},
        tuple(refused("naive_timestamp", "2024-01-31 12:00:00", "1970-01-01 00:00:00")),
    ),
    Group(
        "instant",
        "{type: timestamp}",
        {"postgres": "timestamptz", "sqlite": "text", "mongodb": ""},
        (
            *instants(INSTANTS),
            *instants(OLD_INSTANTS),
            *refused("timestamp_out_of_range", "infinity", "-infinity", "10000-01-01 00:00:00+00"),
            *refused("timestamp_out_of_range", "2024-01-31T24:00:00Z", "2016-12-31T23:59:60Z", only=("sqlite", "mongodb")),
            *refused("timestamp_out_of_range", "0001-01-01T00:00:00+01:00", only=("sqlite", "mongodb")),
            *refused("inexact_timestamp", "2024-01-31T12:00:00.1234567Z", only=("sqlite", "mongodb")),
            *instants({"2024-01-31T12:00:00.123456000Z": "2024-01-31T12:00:00.123456Z"}, only=("sqlite", "mongodb")),
            *refused("not_a_timestamp", "", "x", "2024-02-30T00:00:00Z", "2024-01-31T12:00:00+25:00", only=("sqlite", "mongodb")),
        ),
    ),
    Group(
        "mariadb_instant",
        "{type: timestamp}",
        {"mariadb": "timestamp(6)"},
        (
            *instants({"2024-01-31 12:00:00": "2024-01-31T12:00:00Z", "2024-01-31 12:00:00.25": "2024-01-31T12:00:00.250Z"}),
            *instants({"1970-01-01 00:00:01": "1970-01-01T00:00:01Z", "2038-01-19 03:14:07": "2038-01-19T03:14:07Z"}),
            *refused("timestamp_out_of_range", "0000-00-00 00:00:00"),
        ),
    ),
    Group(
        "bson_instant",
        "{type: timestamp}",
        {"mongodb": ""},
        (
            *to({_utc("2024-01-31T12:00:00"): '"2024-01-31T12:00:00Z"'}),
            *to([(DatetimeMS(FIRST_MS), '"0001-01-01T00:00:00Z"'), (DatetimeMS(-1), '"1969-12-31T23:59:59.999Z"')]),
            *to([(DatetimeMS(LAST_MS), '"9999-12-31T23:59:59.999Z"')]),
            *refused("timestamp_out_of_range", DatetimeMS(LAST_MS + 1), DatetimeMS(FIRST_MS - 1), DatetimeMS(2**62)),
            *refused("not_a_timestamp", 5, 1.5, "soon"),
        ),
    ),
    Group(
        "plain_bson_instant",  # a column of nothing but instants goes another way
        "{type: timestamp}",
        {"mongodb": ""},
        tuple(
            to(
                {
                    _utc("2024-01-31T12:00:00"): '"2024-01-31T12:00:00Z"',
                    _utc("0001-01-01T00:00:00"): '"0001-01-01T00:00:00Z"',
                    _utc("9999-12-31T23:59:59.999"): '"9999-12-31T23:59:59.999Z"',
                }
            )
        ),
    ),
    Group(
        "time",
        "{type: time}",
        {"postgres": "time", "mariadb": "time(6)", "sqlite": "text", "mongodb": ""},
        (
            *to(TIMES),
            *refused("not_a_time", "24:00:00", only=("postgres", "sqlite", "mongodb")),
            *refused("not_a_time", "-01:00:00", "838:59:59", "24:00:00", only=("mariadb",)),
            *refused("not_a_time", "", "12:00", "25:00:00", "12:60:00", "12:00:60", "noon", only=("sqlite", "mongodb")),
        ),
    ),
    Group(
        "zoned_time",
        "{type: time}",
        {"postgres": "timetz"},
        tuple(refused("not_a_time", "12:00:00+02", "00:00:00-12")),
    ),
)  # fmt: skip
