"""Integers, numbers, decimals and booleans: exact, or bad."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.casting import Bad, cast_one, casts, same
from transforms.kept_numbers import is_kept

EXACT = settings(deadline=None, max_examples=40)
D = Decimal
NOT_INTEGER, BEYOND, NOT_FINITE = (
    Bad("not_an_integer"),
    Bad("integer_beyond_2_53"),
    Bad("not_finite"),
)
NOT_NUMBER, INEXACT = Bad("not_a_number"), Bad("inexact_number")
NOT_DECIMAL, CUT, LONG = Bad("not_a_decimal"), Bad("inexact_decimal"), Bad("decimal_too_long")
NOT_BOOLEAN = Bad("not_a_boolean")
NAN, INF = math.nan, math.inf

INTEGERS = [
    ("0", 0), ("-0", 0), ("7", 7), ("-7", -7), ("1234567890", 1234567890),
    ("9007199254740992", 2**53), ("-9007199254740992", -(2**53)),
    ("9007199254740993", BEYOND), ("-9007199254740993", BEYOND),
    ("9223372036854775808", BEYOND), ("9" * 40, BEYOND), ("9" * 6000, BEYOND),
    ("", NOT_INTEGER), (" ", NOT_INTEGER), ("00", NOT_INTEGER), ("01", NOT_INTEGER),
    ("-01", NOT_INTEGER), ("+1", NOT_INTEGER), (" 1", NOT_INTEGER), ("1 ", NOT_INTEGER),
    ("1\n", NOT_INTEGER), ("1e3", NOT_INTEGER), ("1.0", NOT_INTEGER), ("1.5", NOT_INTEGER),
    ("1_000", NOT_INTEGER), ("1,000", NOT_INTEGER), ("--1", NOT_INTEGER), ("-", NOT_INTEGER),
    ("0x10", NOT_INTEGER), ("abc", NOT_INTEGER), ("१२", NOT_INTEGER), ("１", NOT_INTEGER),
    ("NaN", NOT_FINITE), ("Infinity", NOT_FINITE), ("-inf", NOT_FINITE),
    (5, 5), (2**53, 2**53), (2**53 + 1, BEYOND), (-(2**63), BEYOND),
    (5.0, 5), (-0.0, 0), (5.5, NOT_INTEGER), (1e-300, NOT_INTEGER), (2.0**53, 2**53),
    (2.0**53 + 2, BEYOND), (1e300, BEYOND), (NAN, NOT_FINITE), (INF, NOT_FINITE),
    (True, 1), (False, 0), (D("12.00"), 12), (D("12.50"), NOT_INTEGER), (D("-3"), -3),
    (b"1", NOT_INTEGER),
]  # fmt: skip

FROM_DECIMALS = [
    ("12", 12), ("12.00", 12), ("-12.000", -12), ("0.00", 0), ("1E+3", 1000),
    ("12.50", NOT_INTEGER),
    ("1E-3", NOT_INTEGER), ("9007199254740993.0", BEYOND), ("1E+999999999", BEYOND),
    ("0E+999999999", 0), ("NaN", NOT_FINITE), ("x", NOT_INTEGER),
    ("1." + "0" * 60 + "1", NOT_INTEGER),
]  # fmt: skip

NUMBERS = [
    ("0", 0.0), ("-0.00", 0.0), ("1.5", 1.5), ("-1.5", -1.5), ("0.1", 0.1), ("1.10", 1.1),
    ("00012.5", 12.5), ("+2.5", 2.5), (".5", 0.5), ("5.", 5.0), ("1E+3", 1000.0), ("9.5e-1", 0.95),
    ("123456789012345", 123456789012345.0), ("1234567890123.45", 1234567890123.45),
    ("0.000000000000000000000000123", 1.23e-25), ("1.000000000000000000000000", 1.0),
    ("1" + "0" * 30, 1e30), ("1e300", 1e300),
    ("1234567890123456", INEXACT), ("12345678901234.56", INEXACT), ("0.1234567890123456", INEXACT),
    ("1e400", INEXACT), ("1e-400", INEXACT), ("1E+999999999", INEXACT),
    ("NaN", NOT_FINITE), ("nan", NOT_FINITE), ("-Infinity", NOT_FINITE), ("+inf", NOT_FINITE),
    ("", NOT_NUMBER), ("abc", NOT_NUMBER), ("1,5", NOT_NUMBER), ("1 ", NOT_NUMBER),
    ("0x1p3", NOT_NUMBER), ("1e", NOT_NUMBER), ("1_0", NOT_NUMBER), (".", NOT_NUMBER),
    ("٣", NOT_NUMBER), ("1.5\n", NOT_NUMBER),
    (3, 3.0), (2**53, 2.0**53), (2**53 + 1, BEYOND), (1.5, 1.5), (-0.0, 0.0), (NAN, NOT_FINITE),
    (INF, NOT_FINITE), (-INF, NOT_FINITE), (1e308, 1e308), (5e-324, 5e-324), (0.1 + 0.2, 0.1 + 0.2),
    (True, 1.0), (D("1.50"), 1.5), (D("1.1234567890123456"), INEXACT), (b"1", NOT_NUMBER),
]  # fmt: skip

DECIMALS_OF_SCALE_2 = [
    ("1.50", D("1.50")), ("1.5", D("1.50")), ("1", D("1.00")), ("-1.5", D("-1.50")),
    ("1.500", D("1.50")), ("1.505", CUT), ("1.004999", CUT), ("0.001", CUT), ("1E-9", CUT),
    ("-0.00", D("0.00")), ("-0", D("0.00")), ("0", D("0.00")), ("+1.5", D("1.50")),
    ("0001.50", D("1.50")), (".5", D("0.50")), ("5.", D("5.00")),
    ("1E+3", D("1000.00")), ("9.5E-1", D("0.95")), ("9.5e-3", CUT), ("0E+99999", D("0.00")),
    ("0E-99999999", D("0.00")), ("12345678901234567.89", D("12345678901234567.89")),
    ("9" * 36 + ".99", D("9" * 36 + ".99")), ("-" + "9" * 36 + ".99", D("-" + "9" * 36 + ".99")),
    ("0" * 50 + "1.25", D("1.25")), ("1" + "0" * 36, LONG), ("9" * 37 + ".99", LONG),
    ("1E+36", LONG), ("1E+35", D("1" + "0" * 35 + ".00")), ("1E+999999999", LONG),
    ("NaN", NOT_FINITE), ("-NaN", NOT_FINITE), ("Infinity", NOT_FINITE), ("-inf", NOT_FINITE),
    ("sNaN", NOT_DECIMAL), ("", NOT_DECIMAL), ("x", NOT_DECIMAL), ("1.2.3", NOT_DECIMAL),
    ("$1", NOT_DECIMAL), ("1,50", NOT_DECIMAL), ("1_0", NOT_DECIMAL), (" 1", NOT_DECIMAL),
    ("1e9999999999", NOT_DECIMAL), ("٣.50", NOT_DECIMAL), ("1.50\n", NOT_DECIMAL),
    (7, D("7.00")), (-7, D("-7.00")), (2**62, D(f"{2**62}.00")), (1.1, D("1.10")), (0.125, CUT),
    (1e22, D("1E+22").quantize(D("0.01"))), (-0.0, D("0.00")), (NAN, NOT_FINITE), (INF, NOT_FINITE),
    (D("1.5"), D("1.50")), (D("1.500"), D("1.50")), (D("1.505"), CUT),
    (True, NOT_DECIMAL), (b"1", NOT_DECIMAL),
]  # fmt: skip

DECIMALS_AS_TEXT = [
    ("900.00", "900.00"), ("900", "900"), ("-1.50", "-1.50"), ("1E+3", "1000"), ("9.5E-1", "0.95"),
    ("1.10E1", "11.0"), ("-0.00", "0.00"), ("-0", "0"), ("-0.05", "-0.05"), ("+7.10", "7.10"),
    ("007.10", "7.10"), ("-007", "-7"), (".50", "0.50"), ("5.", "5"), ("0E-3", "0.000"),
    ("0E+5", "0"), ("9" * 60 + ".5", "9" * 60 + ".5"), ("1E+1001", LONG), ("1E-1001", LONG),
    ("1" * 2000, LONG), ("1E+999999999", LONG), ("NaN", NOT_FINITE), ("x", NOT_DECIMAL),
    ("", NOT_DECIMAL), (12, "12"), (-3, "-3"), (0.1, "0.1"), (1e16, "10000000000000000"),
    (1e-7, "0.0000001"), (D("1.50"), "1.50"),
]  # fmt: skip

BOOLEANS = [
    ("true", True), ("TRUE", True), ("True", True), ("t", True), ("T", True), ("1", True),
    ("false", False), ("FALSE", False), ("f", False), ("F", False), ("0", False),
    (True, True), (False, False), (1, True), (0, False), (2, NOT_BOOLEAN), (-1, NOT_BOOLEAN),
    ("yes", NOT_BOOLEAN), ("no", NOT_BOOLEAN), ("", NOT_BOOLEAN), (" true", NOT_BOOLEAN),
    ("y", NOT_BOOLEAN), ("on", NOT_BOOLEAN), ("01", NOT_BOOLEAN), (1.0, NOT_BOOLEAN),
    (b"1", NOT_BOOLEAN),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), INTEGERS)
def test_integers(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "integer"), expected)


@pytest.mark.parametrize(("value", "expected"), FROM_DECIMALS)
def test_integers_from_a_decimal_column(value: str, expected: Any) -> None:
    assert same(cast_one(value, "integer", delivered="decimal"), expected)


@pytest.mark.parametrize(("value", "expected"), NUMBERS)
def test_numbers(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "number"), expected)


@pytest.mark.parametrize(("value", "expected"), DECIMALS_OF_SCALE_2)
def test_decimals_of_a_scale(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "decimal", scale=2), expected)


@pytest.mark.parametrize(("value", "expected"), DECIMALS_AS_TEXT)
def test_decimals_without_a_scale_stay_text(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "decimal"), expected)


@pytest.mark.parametrize(("value", "expected"), BOOLEANS)
def test_booleans(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "boolean"), expected)


@pytest.mark.parametrize(
    "dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32]
)
@pytest.mark.parametrize(
    ("target", "expected"),
    [("integer", [0, 1, 127]), ("number", [0.0, 1.0, 127.0]), ("decimal", ["0", "1", "127"])],
)
def test_integers_of_every_width(dtype: Any, target: str, expected: list[Any]) -> None:
    assert casts([0, 1, 127], target, dtype=dtype) == expected


def test_64_bits_without_a_sign() -> None:
    assert casts([1, 2**53, 2**64 - 1], "integer", dtype=pl.UInt64) == [1, 2**53, BEYOND]
    assert casts([1, 2**64 - 1], "number", dtype=pl.UInt64) == [1.0, BEYOND]
    assert casts([2**64 - 1], "decimal", dtype=pl.UInt64, scale=2) == [D(f"{2**64 - 1}.00")]


def test_single_floats() -> None:
    assert casts([0.5, NAN], "number", dtype=pl.Float32) == [0.5, NOT_FINITE]
    assert casts([0.1, NAN], "decimal", dtype=pl.Float32, scale=2) == [D("0.10"), NOT_FINITE]
    assert casts([3.0, 0.5], "integer", dtype=pl.Float32) == [3, NOT_INTEGER]


def test_a_scale_that_leaves_no_room_for_the_integer() -> None:
    assert casts([1, 2**62], "decimal", scale=18) == [D(1).scaleb(-18) * 10**18, D(2**62)]
    assert casts(["1" * 21], "decimal", scale=18) == [LONG]


def test_an_integer_column_told_as_text_may_be_a_number_to_2_53() -> None:
    texts = ["9007199254740992", "9007199254740993", "1.5"]
    assert casts(texts, "number", delivered="integer") == [2.0**53, BEYOND, 1.5]


def test_a_negative_zero_has_no_sign() -> None:
    (found,) = casts([-0.0], "number")
    assert math.copysign(1, found) == 1
    (found,) = casts(["-0.0"], "number")
    assert math.copysign(1, found) == 1


@EXACT
@given(st.lists(st.integers() | st.integers(-(2**54), 2**54), max_size=30))
def test_integer_text_against_python(values: list[int]) -> None:
    expected = [value if abs(value) <= 2**53 else BEYOND for value in values]
    assert casts([str(value) for value in values], "integer", dtype=pl.String) == expected


@EXACT
@given(st.lists(st.floats(), max_size=30))
def test_floats_arrive_unchanged_or_bad(values: list[float]) -> None:
    found = casts(values, "number", dtype=pl.Float64)
    for value, one in zip(values, found, strict=True):
        kept = value if math.isfinite(value) and is_kept(value) else INEXACT
        assert one == (kept if math.isfinite(value) else NOT_FINITE)


@EXACT
@given(st.lists(st.floats(), max_size=30))
def test_floats_as_integers(values: list[float]) -> None:
    for value, found in zip(values, casts(values, "integer", dtype=pl.Float64), strict=True):
        if isinstance(found, Bad):
            assert not math.isfinite(value) or value % 1 or abs(value) > 2**53
        else:
            assert found == value


DIGITS = st.text("0123456789", max_size=24)
TEXTS = st.builds(
    lambda sign, whole, point, part, exponent: sign + whole + point + part + exponent,
    st.sampled_from(["", "-", "+"]),
    DIGITS,
    st.sampled_from(["", ".", "."]),
    DIGITS,
    st.just("") | st.integers(-40, 40).map("E{:+d}".format),
)


def _exact(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


@EXACT
@given(st.lists(TEXTS, max_size=40), st.integers(0, 18))
def test_decimal_text_against_python(texts: list[str], scale: int) -> None:
    for text, found in zip(
        texts, casts(texts, "decimal", scale=scale, dtype=pl.String), strict=True
    ):
        exact = _exact(text)
        if exact is None:
            assert found == NOT_DECIMAL
        elif isinstance(found, Bad):
            with localcontext(prec=200):  # the default would round what is tested
                held = exact.scaleb(scale) if exact else exact
                cut = held != held.to_integral_value()
            assert cut or abs(exact) >= Decimal(10) ** (38 - scale)
        else:
            assert found == exact
            assert found.as_tuple().exponent == -scale


@EXACT
@given(st.lists(TEXTS, max_size=40))
def test_plain_decimals_against_python(texts: list[str]) -> None:
    for text, found in zip(texts, casts(texts, "decimal", dtype=pl.String), strict=True):
        exact = _exact(text)
        if exact is None:
            assert found == NOT_DECIMAL
        else:
            assert Decimal(found) == exact
            assert found == format(exact if exact else abs(exact), "f")


@EXACT
@given(st.lists(TEXTS, max_size=40))
def test_numbers_from_text_hold_the_same_decimal(texts: list[str]) -> None:
    for text, found in zip(texts, casts(texts, "number", dtype=pl.String), strict=True):
        exact = _exact(text)
        if exact is None:
            assert found == NOT_NUMBER
        elif isinstance(found, Bad):
            long = len("".join(map(str, exact.as_tuple().digits)).strip("0")) > 15
            assert long or not is_kept(float(text))
        else:
            assert Decimal(repr(found)) == exact


@EXACT
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4, max_value=10**20,
                            min_value=-(10**20)), max_size=20))  # fmt: skip
def test_arrow_decimals_keep_their_value(values: list[Decimal]) -> None:
    found = casts(values, "decimal", dtype=pl.Decimal(38, 4), scale=6)
    assert found == values
