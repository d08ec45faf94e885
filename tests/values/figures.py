"""Numbers: whole ones up to 2^53 and beyond 2^64, decimals, money, doubles, true and false."""

from __future__ import annotations

from bson import Decimal128, Int64

from tests.values.value import Group, Sql, Value, as_given, as_text, refused, to

BEYOND = "integer_beyond_2_53"
TEXT = {"postgres": "text", "mariadb": "longtext", "sqlite": "text", "mongodb": ""}
NOT_MONGODB = ("postgres", "mariadb", "sqlite")

SAFE = [
    *(0, 1, -1, 7, 127, 128, -128, 255, 32_767, -32_768, 65_536, 10**9, 10**15, -(10**15)),
    *(
        2**31 - 1,
        2**31,
        -(2**31),
        -(2**31) - 1,
        2**32,
        2**52,
        2**53 - 1,
        2**53,
        -(2**53),
        -(2**53) + 1,
    ),
]
UNSAFE = [
    *(2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**54, 10**16, 10**18, -(10**18), 2**62),
    *(2**63 - 1, -(2**63), -(2**63) + 1),
]
GIANT = [2**63, 2**64 - 1, 2**64, 2**64 + 1, -(2**63) - 1, 10**20, 10**30, -(10**30), 10**33 + 1]
NO_INTEGERS = [
    *(
        "",
        " ",
        "5 ",
        " 5",
        "+5",
        "5.0",
        "5.5",
        "1e3",
        "5.",
        "00123",
        "-05",
        "0x10",
        "--5",
        "-",
        "1_000",
    ),
    *("1,000", "\u0665", "five", "null", "5\n", "\uff15"),
]

CENTS = [
    *("0.00", "0.01", "-0.01", "1.10", "-1.10", "100.00", "99.99", "12345678901234567.89"),
    *(
        "-12345678901234567.89",
        "9999999999999999999999999999.99",
        "0.10",
        "1234567.80",
        "90071992547409.93",
    ),
]
ODD_CENTS = {
    "7": '"7.00"', "-7": '"-7.00"', "1.5": '"1.50"', "1E+3": '"1000.00"', "1.100": '"1.10"',
    "-0.00": '"0.00"', "-0": '"0.00"', "1E-2": '"0.01"', "0E+3": '"0.00"',
}  # fmt: skip
NO_DECIMALS = [
    "",
    " ",
    "abc",
    "1,5",
    " 1.5",
    "1.5 ",
    "$5",
    "0x1",
    "\uff11",
    "--1",
    "1e",
    "1.2.3",
    "1/2",
]
FREE = [
    *("0", "1.10", "0.00", "-1.5", "12345678901234567890.1234567890", "9" * 34, "-" + "9" * 34),
    *("0.000000000000000000000000000001", "3.14159265358979323846264338327950"),
]
FREE_BUT_MONGODB = ["9" * 38, "9" * 100, "0." + "0" * 50 + "1", "1" + "0" * 999, "123." + "4" * 200]

DOUBLES = [
    *(0.0, 1.0, -1.0, 0.1, -0.1, 0.5, 100.0, 4.35, 1.005, -273.15, 123456789.125, 1e15, 1e16, 1e17),
    *(
        1e21,
        1e22,
        1e100,
        1e300,
        -1e300,
        1e-4,
        1e-5,
        9.999e-5,
        1e-7,
        1e-300,
        2.5e-5,
        123456.789,
    ),
]
LONG_DOUBLES = [
    *(
        1 / 3,
        2 / 3,
        0.1 + 0.2,
        3.141592653589793,
        2.718281828459045,
        1.7976931348623157e308,
        5e-324,
    ),
    *(
        -5e-324,
        2.2250738585072014e-308,
        2.0**53,
        9007199254740994.0,
        1e15 + 0.3,
        1e23,
        8.41e21,
    ),
]
NOT_KEPT = [
    *(123456789.123456789, 0.9828846337618169, 61189.655399999996, 59.028123762566764),
    *(2.0**53 - 1, 4.026380313612261e293),
]
"""RedisJSON 2.8 gives their neighbours back (tests/transforms/test_kept_numbers.py)."""
TINY = [5e-324, -5e-324, 1e23, 8.41e21]
"""Doubles whose shortest text is short: they pass as text, too."""
FLOATS = {
    "0.1": "0.1",
    "-0.1": "-0.1",
    "16777216": "16777216.0",
    "3.25": "3.25",
    "1e-10": "1e-10",
    "0": "0.0",
}

GROUPS = (
    Group(
        "integer",
        "{type: integer}",
        {"postgres": "bigint", "mariadb": "bigint", "sqlite": "integer", "mongodb": ""},
        (
            *as_given(*SAFE),
            *refused(BEYOND, *UNSAFE),
            *to(
                [(7.0, "7"), (Decimal128("1E+3"), "1000"), (Decimal128("5.00"), "5"), ("12", "12"), ("-5", "-5")],
                only=("mongodb",),
            ),
            *refused("unreadable", 1.5, 1e300, float("nan"), True, {"n": 1}, b"5", only=("mongodb",)),
            *refused("unreadable", Decimal128("1E+6144"), Decimal128("NaN"), only=("mongodb",)),
            *refused("unreadable", Decimal128("1.5"), "00123", "+5", " 5", "x", only=("mongodb",)),
            *refused(BEYOND, 1e18, only=("mongodb",)),
            *refused("not_an_integer", "abc", b"\x01", 1.5, only=("sqlite",)),
            *to([("5", "5"), (5.0, "5"), (" 6 ", "6")], only=("sqlite",)),  # its own affinity made them
        ),
        native={"mongodb": lambda given: Int64(given) if type(given) is int else given},
    ),
    Group(
        "small_integer",
        "{}",
        {"postgres": "smallint", "mariadb": "tinyint(1)"},
        tuple(as_given(0, 1, -1, 127, -128)),
    ),
    Group(
        "wide_integer",
        "{type: integer}",
        {"postgres": "numeric", "mariadb": "decimal(40,0)", "sqlite": "text", "mongodb": ""},
        (
            *as_given(*SAFE[:6], 2**53),
            *refused(BEYOND, *GIANT, *UNSAFE[:1], only=NOT_MONGODB),
            *refused("unreadable", *GIANT, only=("mongodb",)),
            *refused("not_an_integer", Sql("1.5"), Sql("5.00"), only=("postgres",)),
            *refused("not_finite", Sql("'NaN'"), Sql("'Infinity'"), only=("postgres",)),
        ),
        native={
            "postgres": str, "mariadb": str, "sqlite": str, "mongodb": lambda n: Decimal128(str(n)),
        },
    ),
    Group(
        "unsigned_integer",
        "{type: string}",
        {"mariadb": "bigint unsigned", "postgres": "numeric(20,0)"},
        tuple(as_text(0, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)),
    ),
    Group(
        "integer_as_text",
        "{type: string}",
        {"postgres": "bigint", "mariadb": "bigint", "sqlite": "integer", "mongodb": ""},
        tuple(as_text(0, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))),
        native={"mongodb": Int64},
    ),
    Group(
        "text_as_integer",
        "{type: integer}",
        TEXT,
        (
            *to({"0": "0", "5": "5", "-5": "-5", "-0": "0", str(2**53): str(2**53)}),
            *refused(BEYOND, str(2**53 + 1), "-9007199254740993"),
            *refused(BEYOND, "99999999999999999999", "9" * 5000, mongodb="unreadable"),
            *refused("not_an_integer", *NO_INTEGERS, mongodb="unreadable"),
            *refused("not_an_integer", "5\0", only=("mariadb", "sqlite")),
            *refused("not_finite", "NaN", "-Infinity", mongodb="unreadable"),
        ),
    ),
    Group(
        "cents",
        "{type: decimal, scale: 2}",
        {"postgres": "numeric(30,2)", "mariadb": "decimal(30,2)", "sqlite": "text", "mongodb": ""},
        (
            *as_text(*CENTS),
            *refused("not_finite", "NaN", only=("postgres", "sqlite", "mongodb")),
            *to(ODD_CENTS, only=("sqlite", "mongodb")),
            *refused("inexact_decimal", "1.105", "1E-3", "0.001", only=("sqlite", "mongodb")),
            *refused("not_finite", "Infinity", "-Infinity", only=("sqlite", "mongodb")),
            *refused("decimal_too_long", "9" * 34 + "E+10", "1E+6000", only=("sqlite", "mongodb")),
            *refused("decimal_too_long", "9" * 60, only=("sqlite",)),
            *refused("not_a_decimal", *NO_DECIMALS, only=("sqlite",)),
            *refused("not_a_decimal", "1\0", only=("sqlite",)),
        ),
        native={"mongodb": Decimal128},
    ),
    Group(
        "text_as_cents",
        "{type: decimal, scale: 2}",
        TEXT,
        (
            *as_text(*CENTS[:8]),
            *to(ODD_CENTS),
            *refused("inexact_decimal", "1.105"),
            *refused("not_finite", "NaN", "nan", "inf", "-Infinity"),
            *refused("not_a_decimal", *NO_DECIMALS),
        ),
    ),
    Group(
        "exact",
        "{type: decimal}",
        {"postgres": "numeric", "sqlite": "text", "mongodb": ""},
        (
            *as_text(*FREE),
            *as_text(*FREE_BUT_MONGODB, only=("postgres", "sqlite")),
            *refused("not_finite", "NaN", "Infinity", "-Infinity"),
            *refused("decimal_too_long", "1E+5000", only=("postgres", "sqlite", "mongodb")),
            *refused("decimal_too_long", "1" + "0" * 1200, only=("postgres", "sqlite")),
            *to({"1E+3": '"1000"', "-0": '"0"', "0E-5": '"0.00000"'}, only=("mongodb", "sqlite")),
            *refused("decimal_too_long", "1E-6176", only=("mongodb", "sqlite")),
        ),
        native={"mongodb": Decimal128},
    ),
    Group(
        "wide_decimal",
        "{}",
        {"mariadb": "decimal(65,30)", "postgres": "numeric(65,30)"},
        tuple(
            as_text(
                *("1." + "0" * 29 + "1", "-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 30),
            )
        ),
    ),
    Group(
        # At most 15 digits and no declared type: a number.
        "price",
        "{type: number}",
        {"postgres": "numeric(12,2)", "mariadb": "decimal(12,2)", "sqlite": "text", "mongodb": ""},
        (
            *to({"1234.50": "1234.5", "0.10": "0.1", "-0.01": "-0.01", "9999999999.99": "9999999999.99"}),
            *to({"5.00": "5.0", "0.00": "0.0", "0.30": "0.3"}),
        ),
        native={"mongodb": Decimal128},
    ),
    Group(
        "undeclared_price",
        "{}",
        {"postgres": "numeric(12,2)", "mariadb": "decimal(12,2)"},
        (
            *to({"1234.50": "1234.5", "5.00": "5.0", "-0.01": "-0.01"}),
            *refused("not_finite", "NaN", only=("postgres",)),
        ),
    ),
    Group(
        "double",
        "{type: number}",
        {"postgres": "float8", "mariadb": "double", "sqlite": "real", "mongodb": ""},
        (
            *as_given(*DOUBLES, *TINY),
            *as_given(*(d for d in LONG_DOUBLES if d not in TINY), only=("postgres", "mariadb", "mongodb")),
            # SQLite's values have no type that all share: they come as text, of 15 digits at most.
            *refused("inexact_number", *(d for d in LONG_DOUBLES if d not in TINY), only=("sqlite",)),
            Value(-0.0, "0.0"),
            *refused("inexact_number", *NOT_KEPT),
            *refused("not_finite", float("inf"), float("-inf"), only=("postgres", "sqlite", "mongodb")),
            *refused("not_finite", float("nan"), only=("postgres", "mongodb")),
            *to([(3, "3.0"), ("2.5", "2.5"), (Decimal128("0.1"), "0.1")], only=("mongodb",)),
            *refused("unreadable", 2**53 + 1, "x", "", True, Decimal128("0.12345678901234567"), only=("mongodb",)),
            *refused("not_a_number", "abc", b"x", only=("sqlite",)),
        ),
    ),
    Group(
        "float",
        "{type: number}",
        {"postgres": "float4", "mariadb": "float"},
        (*to(FLOATS), *refused("not_finite", "NaN", "Infinity", only=("postgres",))),
    ),
    Group(
        "boolean",
        "{type: boolean}",
        {"postgres": "boolean", "mariadb": "boolean", "sqlite": "boolean", "mongodb": ""},
        (
            *as_given(True, False),
            *refused("not_a_boolean", 2, -1, only=("mariadb", "sqlite")),
            *refused("unreadable", 1, "true", 0.0, only=("mongodb",)),
        ),
    ),
    Group(
        "text_as_boolean",
        "{type: boolean}",
        {kind: column for kind, column in TEXT.items() if kind != "mongodb"},
        (
            *to({"true": "true", "T": "true", "1": "true", "FALSE": "false", "f": "false", "0": "false"}),
            *refused("not_a_boolean", "", " ", "yes", "no", "on", "J", "N", "2", "-1", " true", "1.0", "null"),
        ),
    ),
    Group(
        "bit",
        "{}",
        {"mariadb": "bit(8)"},
        tuple(to({Sql("b'0'"): "0", Sql("b'11111111'"): "255"})),
    ),
)  # fmt: skip
