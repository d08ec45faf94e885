"""User ids: one type and one spelling for all sources."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pipeline import UserId
from tests.transforms.casting import Bad, same, told
from transforms.casts import cast_user_id

EMPTY, LONG, CONTROL = (
    Bad("user_id_empty"),
    Bad("user_id_too_long"),
    Bad("user_id_control_character"),
)
PATTERN, NOT_TEXT, NOT_INTEGER = (
    Bad("user_id_pattern"),
    Bad("user_id_not_text"),
    Bad("not_an_integer"),
)
BEYOND, NOT_UUID = Bad("integer_beyond_2_53"), Bad("not_a_uuid")
CANONICAL = "a987fbc9-4bed-3078-cf07-9141ba07c9f3"
OBJECTID = "507f1f77bcf86cd799439011"

STRINGS: list[tuple[Any, dict[str, Any], Any]] = [
    ("123", {}, "123"), ("00123", {}, "00123"), ("0", {}, "0"), (" 1", {}, " 1"), ("é", {}, "é"),
    ("Ab", {"case": "lower"}, "ab"), ("Ab", {"case": "upper"}, "AB"), (" a ", {"trim": True}, "a"),
    ("", {}, EMPTY), ("  ", {"trim": True}, EMPTY), ("", {"pad": 5}, EMPTY),
    ("7", {"pad": 5}, "00007"), ("123456", {"pad": 5}, "123456"), ("-7", {"pad": 5}, "000-7"),
    (" 7 ", {"pad": 3, "trim": True}, "007"), (7, {"pad": 5}, "00007"), (7, {}, "7"),
    (-7, {}, "-7"),
    (2**62, {}, str(2**62)), (123.0, {}, NOT_TEXT), (123.5, {}, NOT_TEXT), (True, {}, NOT_TEXT),
    (date(2026, 1, 1), {}, NOT_TEXT), (b"a", {}, NOT_TEXT), (Decimal("7"), {}, "7"),
    (Decimal("7.0"), {}, NOT_TEXT), ("a" * 512, {}, "a" * 512), ("a" * 513, {}, LONG),
    ("é" * 256, {}, "é" * 256), ("é" * 257, {}, LONG), ("7", {"pad": 513}, LONG),
    ("a\nb", {}, CONTROL), ("x\r\nDEL y", {}, CONTROL), ("a\x00", {}, CONTROL),
    ("\x7f", {}, CONTROL),
    ("a\x85", {}, CONTROL), ("\x1f", {}, CONTROL), ("{a}b*?", {}, "{a}b*?"),
    ("a\t", {"trim": True}, "a"),
    ("U12", {"pattern": r"U\d+"}, "U12"), ("U12x", {"pattern": r"U\d+"}, PATTERN),
    ("xU12", {"pattern": r"U\d+"}, PATTERN), ("U12", {"pattern": r"^U\d+$"}, "U12"),
    ("U12", {"pattern": r"U(?=1)\d+"}, "U12"), ("U22", {"pattern": r"U(?=1)\d+"}, PATTERN),
    ("ab", {"pattern": "a|ab"}, "ab"), ("abc", {"pattern": "a|ab"}, PATTERN),
    ("a", {"pattern": "[a-c]"}, "a"),
    ("007", {"pattern": "[0-9]{3}", "pad": 3}, "007"),
    ("7", {"pattern": "[0-9]{3}", "pad": 3}, "007"),
    ("A1", {"pattern": "[a-z][0-9]", "case": "lower"}, "a1"),
    ("A1", {"pattern": "[a-z][0-9]"}, PATTERN),
    ("", {"pattern": ".*"}, EMPTY), ("a-b", {"pattern": "[a-z-]+"}, "a-b"),
    ("aaa", {"pattern": "a++a"}, PATTERN),
]  # fmt: skip

INTEGERS: list[tuple[Any, dict[str, Any], Any]] = [
    (7, {}, 7), ("7", {}, 7), ("-7", {}, -7), ("0", {}, 0), ("00123", {}, NOT_INTEGER),
    ("007", {}, NOT_INTEGER),
    (" 7", {}, NOT_INTEGER), (" 7 ", {"trim": True}, 7), ("7.0", {}, NOT_INTEGER),
    ("1e3", {}, NOT_INTEGER),
    ("", {}, EMPTY), ("x", {}, NOT_INTEGER), (123.0, {}, 123), (123.5, {}, NOT_INTEGER),
    (float("nan"), {}, Bad("not_finite")), (2**53, {}, 2**53), (2**53 + 1, {}, BEYOND),
    (str(2**53 + 1), {}, BEYOND), (Decimal("7.00"), {}, 7), (Decimal("7.50"), {}, NOT_INTEGER),
    (12, {"pattern": r"\d{2}"}, 12), (123, {"pattern": r"\d{2}"}, PATTERN),
    ("12", {"pattern": r"\d{2}"}, 12),
    (2**53 + 1, {"pattern": r"\d{2}"}, BEYOND), (5, {"pad": 5}, 5),
]  # fmt: skip

OTHERS: list[tuple[str, Any, Any]] = [
    ("uuid", CANONICAL.upper(), CANONICAL), ("uuid", "{" + CANONICAL + "}", CANONICAL),
    ("uuid", bytes.fromhex(CANONICAL.replace("-", "")), CANONICAL), ("uuid", "x", NOT_UUID),
    ("uuid", "", EMPTY), ("uuid", 7, NOT_UUID), ("objectid", OBJECTID.upper(), OBJECTID),
    ("objectid", "x", Bad("not_an_objectid")), ("objectid", "", EMPTY),
]  # fmt: skip


def ids(values: Any, **spec: Any) -> list[Any]:
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    result = cast_user_id(series, UserId.model_validate(spec))
    assert result.values.dtype == (pl.Int64 if spec.get("type") == "integer" else pl.String)
    return told(series, result)


def one(value: Any, **spec: Any) -> Any:
    alone, nothing, again = ids([value, None, value], **spec)
    assert nothing is None
    assert same(alone, again)
    return alone


@pytest.mark.parametrize(("value", "spec", "expected"), STRINGS)
def test_strings(value: Any, spec: dict[str, Any], expected: Any) -> None:
    assert same(one(value, **spec), expected)


@pytest.mark.parametrize(("value", "spec", "expected"), INTEGERS)
def test_integers(value: Any, spec: dict[str, Any], expected: Any) -> None:
    assert same(one(value, type="integer", **spec), expected)


@pytest.mark.parametrize(("kind", "value", "expected"), OTHERS)
def test_uuids_and_objectids(kind: str, value: Any, expected: Any) -> None:
    assert same(one(value, type=kind), expected)


def test_the_pattern_sees_the_canonical_spelling() -> None:
    assert one(CANONICAL.upper(), type="uuid", pattern="[0-9a-f-]{36}") == CANONICAL
    assert one(CANONICAL, type="uuid", pattern="b.*") == PATTERN


@pytest.mark.parametrize("kind", ["string", "integer", "uuid", "objectid"])
@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Int64, pl.Float64, pl.Categorical])
@pytest.mark.parametrize("pattern", [None, "[0-9]+", "(x)"])
def test_no_rows_and_no_ids(kind: str, dtype: Any, pattern: str | None) -> None:
    assert ids(pl.Series([], dtype=dtype), type=kind, pattern=pattern) == []
    assert ids(pl.Series([None, None], dtype=dtype), type=kind, pattern=pattern) == [None, None]


def test_categories() -> None:
    assert ids(pl.Series(["7", "8"], dtype=pl.Categorical), type="integer") == [7, 8]


def test_several_reasons_in_one_column() -> None:
    values = ["a", "", "b\n", "c" * 600, None, "dd"]
    assert ids(values, pattern="[a-z]") == ["a", EMPTY, CONTROL, LONG, None, PATTERN]


PATTERNS = [
    r"\d{3,5}", "[A-Z][0-9]+", "^[a-c]*$", "a?b+", "[a-z_-]{1,3}", r"(a|b)\d", r"\w+", "a.c", "",
    r"[^0-9]+", r"a\.b", "(?i)abc", "x{2}", "a{2,}", "-+", r"[\d]+", r"U\d\d\d",
]  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(PATTERNS),
    st.lists(
        st.text("abcUABC_x-.012345\u0660é", min_size=1, max_size=6)
        | st.sampled_from(PATTERNS[:9]).flatmap(lambda p: st.from_regex(p, fullmatch=True)),
        max_size=20,
    ),
)
def test_patterns_mean_what_python_says(pattern: str, values: list[str]) -> None:
    for value, found in zip(
        values, ids(pl.Series(values, dtype=pl.String), pattern=pattern), strict=True
    ):
        if found in (EMPTY, CONTROL):
            continue
        assert (found == PATTERN) == (re.fullmatch(pattern, value) is None)
