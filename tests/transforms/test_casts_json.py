"""JSON and arrays: canonical text, or bad where a reader would not get the same value."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pipeline import Column
from core.values import ColumnType
from tests.transforms.casting import Bad, cast_one, casts, same, told
from transforms.casts import cast
from transforms.kept_numbers import is_kept

EXACT = settings(deadline=None, max_examples=80)
NOT_JSON, BEYOND, INEXACT = Bad("not_json"), Bad("integer_beyond_2_53"), Bad("inexact_number")
DEEP, NUL, TWICE = Bad("too_deep"), Bad("nul_character"), Bad("duplicate_key")
NOT_ARRAY, NOT_TEXT, NOT_INTEGER = Bad("not_an_array"), Bad("not_text"), Bad("not_an_integer")
SAME: Any = object()

JSON = [
    ("{}", SAME), ("[]", SAME), ("null", SAME), ("true", SAME), ('""', SAME), ('"a"', SAME),
    ("0", SAME), ("-1", SAME), ("1.5", SAME), ("0.1", SAME), ("1e300", "1e+300"),
    ('{"b":1,"a":2}', SAME), ('{"b": 1,\n\t"a" : 2}', '{"b":1,"a":2}'), (" [ 1 , 2 ] ", "[1,2]"),
    ('{"a b": "c  d"}', '{"a b":"c  d"}'), ('"\\u00e9"', '"é"'), ('"\\/"', '"/"'),
    ('"\\ud83c\\udfe6"', '"🏦"'), ("1.10", "1.1"), ("1.0", SAME), ("1.00", "1.0"),
    ("100.50", "100.5"),
    ("[1.10, 10.00, 0.50]", "[1.1,10.0,0.5]"), ("1E5", "100000.0"), ("1.5e-7", SAME),
    ("0.30000000000000004", SAME),
    ('{"version":"1.10","n":1.10}', '{"version":"1.10","n":1.1}'), ("-0", "0"),
    ("9007199254740992", SAME), ("-9007199254740992", SAME), ('"9007199254740993"', SAME),
    ("9007199254740993", BEYOND), ("[-9007199254740993]", BEYOND), ("18446744073709551616", BEYOND),
    ("1" + "0" * 5000, BEYOND), ('{"a":[{"b":9223372036854775807}]}', BEYOND),
    ("1.00000000000000000001", INEXACT), ("0.1000000000000000055511151231257827", INEXACT),
    ("12345678901234567.89", INEXACT), ("9007199254740993.0", INEXACT), ("1e400", INEXACT),
    ("1e-400", INEXACT), ("[1E+999999999]", INEXACT), ("9007199254740992.0", SAME),
    ('"\\u0000"', NUL), ('{"a\\u0000":1}', NUL), ('"\\\\u0000"', SAME), ('[["a\\u0000b"]]', NUL),
    ("", NOT_JSON), (" ", NOT_JSON), ("{", NOT_JSON), ("[1,]", NOT_JSON), ("{'a':1}", NOT_JSON),
    ('{"a":1}{"b":2}', NOT_JSON), ("[1] x", NOT_JSON), ("NaN", NOT_JSON), ("[Infinity]", NOT_JSON),
    ("-Infinity", NOT_JSON), ("01", NOT_JSON), ("+1", NOT_JSON), (".5", NOT_JSON), ("1.", NOT_JSON),
    ("tru", NOT_JSON), ('"\n"', NOT_JSON), ('"\\ud800"', NOT_JSON), ('"\\udc00a"', NOT_JSON),
    ("\ufeff{}", NOT_JSON), ('"\x00"', NOT_JSON), ("undefined", NOT_JSON), ("// c\n1", NOT_JSON),
    ('{"a":1,"a":1}', TWICE), ('{"a":1,"b":{"c":2, "c":3}}', TWICE), ('{"a":1,"\\u0061":2}', TWICE),
    ("[" * 100 + "]" * 100, SAME), ("[" * 101 + "]" * 101, DEEP), ("[" * 100_000, DEEP),
    ('{"a":' * 100 + "1" + "}" * 100, SAME), ('{"a":' * 101 + "1" + "}" * 101, DEEP),
    ("[" + ",".join(["[]"] * 500) + "]", SAME), ('"' + "[" * 500 + '"', SAME),
    ("]" * 300, NOT_JSON),
    ("[" + ",".join(["[1.10]"] * 101) + "]", "[" + ",".join(["[1.1]"] * 101) + "]"),
    (5, NOT_JSON), (True, NOT_JSON), (b"{}", NOT_JSON), (1.5, NOT_JSON),
]  # fmt: skip

ARRAYS = [
    ("string[]", "[]", SAME), ("string[]", '["a","b"]', SAME),
    ("string[]", '[ "a" , "b" ]', '["a","b"]'),
    ("string[]", '["a",null]', SAME), ("string[]", "[1, 1.10, true]", '["1","1.10","true"]'),
    ("string[]", '["é 🏦"]', SAME), ("string[]", '["a\\u0000"]', NUL),
    ("string[]", '["\\\\u0000"]', SAME),
    ("string[]", '[["a"]]', NOT_TEXT), ("string[]", '[{"a":1}]', NOT_TEXT),
    ("string[]", "[12345678901234567890123]", '["12345678901234567890123"]'),
    ("string[]", "[1E+999999999]", Bad("decimal_too_long")), ("string[]", "[1e400]", f'["1{"0" * 400}"]'), ("number[]", "[1e400]", INEXACT),
    ("string[]", '"a"', NOT_ARRAY), ("string[]", "{}", NOT_ARRAY), ("string[]", "null", NOT_ARRAY),
    ("string[]", "", NOT_ARRAY), ("string[]", "a,b", NOT_ARRAY), ("string[]", "{a,b}", NOT_ARRAY),
    ("string[]", '["\\ud800"]', NOT_ARRAY), ("string[]", "[NaN]", NOT_ARRAY),
    ("string[]", "[1", NOT_ARRAY),
    ("string[]", "[" * 101 + "]" * 101, DEEP), ("string[]", 5, NOT_ARRAY),
    ("string[]", b"[]", NOT_ARRAY),
    ("integer[]", "[1,2]", SAME), ("integer[]", '[1, "2", null]', "[1,2,null]"),
    ("integer[]", "[1.0]", NOT_INTEGER), ("integer[]", "[true]", NOT_INTEGER),
    ("integer[]", '["01"]', NOT_INTEGER), ("integer[]", '[""]', NOT_INTEGER),
    ("integer[]", "[[1]]", NOT_INTEGER),
    ("integer[]", "[9007199254740993]", BEYOND), ("integer[]", "[18446744073709551616]", BEYOND),
    ("integer[]", '["9007199254740993"]', BEYOND), ("integer[]", "[9007199254740992]", SAME),
    ("number[]", "[1, 1.5, \"2.5\", 1.10]", "[1.0,1.5,2.5,1.1]"),
    ("number[]", '["NaN"]', Bad("not_finite")),
    ("number[]", '["x"]', Bad("not_a_number")), ("number[]", "[0.12345678901234567]", INEXACT),
    ("number[]", "[9007199254740993]", BEYOND), ("number[]", "[-0.0]", "[0.0]"),
    ("decimal[]", '["1.10",2,1.50,null]', '["1.10","2","1.50",null]'),
    ("decimal[]", '["1E+3"]', '["1000"]'),
    ("decimal[]", "[12345678901234567.890]", '["12345678901234567.890"]'),
    ("decimal[]", '["NaN"]', Bad("not_finite")), ("decimal[]", "[true]", Bad("not_a_decimal")),
    ("boolean[]", '[true,"f",0]', "[true,false,false]"), ("boolean[]", "[2]", Bad("not_a_boolean")),
    ("boolean[]", "[[]]", Bad("not_a_boolean")), ("boolean[]", "[1.0]", Bad("not_a_boolean")),
    ("date[]", '["2026-03-01","2024-02-29"]', SAME),
    ("date[]", '["2026-02-30"]', Bad("not_a_date")),
    ("date[]", '["infinity"]', Bad("date_out_of_range")), ("date[]", "[5]", Bad("not_a_date")),
    ("timestamp[]", '["2026-03-01T10:00:00+02:00"]', '["2026-03-01T08:00:00Z"]'),
    ("timestamp[]", '["2026-03-01T10:00:00.5Z"]', '["2026-03-01T10:00:00.500000Z"]'),
    ("timestamp[]", '["2026-03-01T10:00:00"]', Bad("naive_timestamp")),
    ("time[]", '["10:00:00.5"]', '["10:00:00.500000"]'), ("time[]", "[5]", Bad("not_a_time")),
    ("uuid[]", '["A987FBC9-4BED-3078-CF07-9141BA07C9F3"]', '["a987fbc9-4bed-3078-cf07-9141ba07c9f3"]'),
    ("uuid[]", "[5]", Bad("not_a_uuid")),
    ("objectid[]", '["507F1F77BCF86CD799439011"]', '["507f1f77bcf86cd799439011"]'),
    ("objectid[]", "[5]", Bad("not_an_objectid")), ("binary[]", '["AA=="]', Bad("not_binary")),
    ("json[]", '[{"a": 1.10}, "x", [2]]', '[{"a":1.1},"x",[2]]'), ("json[]", '["{}"]', SAME),
    ("json[]", "[9007199254740993]", BEYOND), ("json[]", '[{"a":1,"a":2}]', TWICE),
    ("password_hash[]", '["secret"]', Bad("unknown_hash_scheme")),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), JSON)
def test_json(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "json"), value if expected is SAME else expected)


@pytest.mark.parametrize(("target", "value", "expected"), ARRAYS)
def test_arrays(target: str, value: Any, expected: Any) -> None:
    assert same(cast_one(value, target), value if expected is SAME else expected)


def test_items_are_cleaned() -> None:
    options = {"trim": True, "case": "lower", "null_values": ["n/a", "0"]}
    assert cast_one('[" A ","N/A",0]', "string[]", **options) == '["a",null,null]'
    assert cast_one('["0","1"]', "integer[]", **options) == "[null,1]"


def test_items_have_the_columns_scale_format_and_zone() -> None:
    assert cast_one('["1.5",2]', "decimal[]", scale=2) == '["1.50","2.00"]'
    assert cast_one('["1.505"]', "decimal[]", scale=2) == Bad("inexact_decimal")
    assert cast_one('["260301",70101]', "date[]", format="%y%m%d") == '["2026-03-01","2007-01-01"]'
    berlin = cast_one('["2026-07-01 12:00:00"]', "timestamp[]", zone="Europe/Berlin")
    assert berlin == '["2026-07-01T10:00:00Z"]'


def test_items_of_an_array_of_decimals_as_integers() -> None:
    column = Column.model_validate({"type": "integer[]"})
    source, target = ColumnType("array", item="decimal"), ColumnType("array", item="integer")
    series = pl.Series(['["12.00","1E+3"]', '["12.5"]'])
    found = told(series, cast(series, column, source, target, None))
    assert found == ["[12,1000]", NOT_INTEGER]


def printed_examples() -> list[str]:
    """The examples that are JSON, as orjson prints them."""
    printed = []
    for text, _ in JSON:
        try:
            printed.append(orjson.dumps(orjson.loads(text)).decode())
        except (orjson.JSONDecodeError, TypeError):
            continue
    return printed


def test_what_orjson_printed_is_judged_alike_unparsed() -> None:
    texts = printed_examples()
    column, target = Column.model_validate({"type": "json"}), ColumnType("json")
    series = pl.Series([*texts, None])
    parsed = told(series, cast(series, column, target, target, None))
    assert told(series, cast(series, column, target, target, None, canonical=True)) == parsed
    assert {BEYOND, NUL, DEEP} <= {each for each in parsed if isinstance(each, Bad)}


def test_case_does_not_touch_json() -> None:
    assert casts(['{"A":true}', "[NULL]"], "json", case="upper") == ['{"A":true}', NOT_JSON]


def test_lists_and_documents_of_hooks() -> None:
    assert casts([["a", None], None, []], "string[]") == ['["a",null]', None, "[]"]
    assert casts([[1, 2], None], "integer[]") == ["[1,2]", None]
    assert casts([{"a": 1, "b": [1.5]}, None], "json") == ['{"a":1,"b":[1.5]}', None]
    assert casts([[2**53 + 1]], "json") == [BEYOND]
    assert casts([[float("nan")]], "json") == [INEXACT]
    assert casts([[Decimal("1.50")]], "decimal[]") == ['["1.50"]']
    assert casts([["a\x00"]], "json") == [NUL]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
LEAVES |= st.floats(allow_nan=False, allow_infinity=False).filter(is_kept)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


@EXACT
@given(st.lists(VALUES, max_size=5))
def test_json_against_python(values: list[Any]) -> None:
    expected = [orjson.dumps(value).decode() for value in values]
    for spelling in ({}, {"indent": 2}, {"ensure_ascii": False, "separators": (",", ":")}):
        texts = [json.dumps(value, **spelling) for value in values]  # type: ignore[arg-type]
        assert [orjson.loads(t) for t in casts(texts, "json")] == [
            orjson.loads(t) for t in expected
        ]


DIGITS = st.text("0123456789", min_size=1, max_size=20)


@EXACT
@given(st.lists(st.builds("{}{}.{}{}".format, st.sampled_from(["", "-"]),
                          st.integers(0, 10**17), DIGITS, st.sampled_from(["", "e5", "E-7", "e300"])),
                max_size=10))  # fmt: skip
def test_numbers_in_json_keep_their_decimal_value(texts: list[str]) -> None:
    for text, found in zip(texts, casts(texts, "json"), strict=True):
        exact = Decimal(text)
        double = float(text)
        held = abs(double) != float("inf") and Decimal(repr(double)) == exact and is_kept(double)
        assert (Decimal(found) == exact) if held else found == INEXACT


@EXACT
@given(st.lists(TEXT | st.none(), max_size=8))
def test_arrays_of_text_against_python(items: list[str | None]) -> None:
    (found,) = casts([json.dumps(items)], "string[]")
    assert json.loads(found) == items
