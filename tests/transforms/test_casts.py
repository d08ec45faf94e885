"""The casts as a whole: types, empty columns, and what holds for every kind."""

from __future__ import annotations

from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pipeline import Column
from core.values import KINDS, ColumnType, Kind, parse_type
from tests.transforms.casting import Bad, casts
from transforms.casts import _JUDGES, cast, resolve_type, typed_dtype
from transforms.casts_outcome import Unfit, Wanted

FLAT = [kind for kind in KINDS if kind != "array"]
TARGETS = [*FLAT, *(f"{kind}[]" for kind in FLAT)]
COLUMN = Column.model_validate({})


@pytest.mark.parametrize(
    ("target", "dtype"),
    [
        (ColumnType("integer"), pl.Int64()),
        (ColumnType("number"), pl.Float64()),
        (ColumnType("boolean"), pl.Boolean()),
        (ColumnType("date"), pl.Date()),
        (ColumnType("timestamp"), pl.Datetime("us", "UTC")),
        (ColumnType("timestamp", zoned=True), pl.Datetime("us", "UTC")),
        (ColumnType("decimal", 20, 4), pl.Decimal(38, 4)),
        (ColumnType("decimal", 38, 0), pl.Decimal(38, 0)),
        (ColumnType("decimal", None, 2), pl.Decimal(38, 2)),
        (ColumnType("decimal"), pl.String()),
        (ColumnType("decimal", 65, 30), pl.String()),
        (ColumnType("decimal", 5, -2), pl.String()),
        (ColumnType("array", item="integer"), pl.String()),
        *((ColumnType(kind), pl.String()) for kind in FLAT if kind not in
          ("integer", "number", "boolean", "date", "timestamp")),
    ],
)  # fmt: skip
def test_typed_dtype(target: ColumnType, dtype: pl.DataType) -> None:
    assert typed_dtype(target) == dtype


@pytest.mark.parametrize(
    ("options", "described", "expected"),
    [
        ({}, ColumnType("integer"), ColumnType("integer")),
        ({}, ColumnType("decimal", 15, 2), ColumnType("number", scale=2)),
        ({}, ColumnType("decimal", 16, 2), ColumnType("decimal", 16, 2)),
        ({}, ColumnType("decimal"), ColumnType("decimal")),
        ({}, ColumnType("timestamp", zoned=True), ColumnType("timestamp", zoned=True)),
        ({}, ColumnType("array", item="uuid"), ColumnType("array", item="uuid")),
        ({"type": "string"}, ColumnType("integer"), ColumnType("string")),
        ({"type": "decimal"}, ColumnType("decimal", 5, 2), ColumnType("decimal")),
        ({"type": "decimal", "scale": 2}, ColumnType("string"), ColumnType("decimal", 38, 2)),
        ({"type": "date[]"}, ColumnType("json"), ColumnType("array", item="date")),
    ],
)
def test_resolve_type(options: dict[str, Any], described: ColumnType, expected: ColumnType) -> None:
    assert resolve_type(Column.model_validate(options), described) == expected


DTYPES = [
    pl.Null(), pl.String(), pl.Int64(), pl.Int8(), pl.UInt64(), pl.Float64(), pl.Float32(),
    pl.Boolean(), pl.Binary(), pl.Date(), pl.Datetime("us"), pl.Datetime("ms", "UTC"),
    pl.Datetime("ns"), pl.Datetime("us", "Asia/Tokyo"), pl.Time(), pl.Duration(),
    pl.Decimal(20, 3), pl.Categorical(), pl.Enum(["a"]), pl.List(pl.String), pl.Struct({"a": pl.Int64}),
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"trim": True, "case": "lower", "null_values": ["", "0", "NaN", "a"]},
    {"format": "%y%m%d", "timezone": "Europe/Berlin", "null_values": ["0"]},
    {"format": "epoch_ms"},
    {"format": "%d %b %Y"},
    {"scale": 2},
]


@pytest.mark.parametrize("target", TARGETS)
def test_no_rows_and_no_values_of_any_type(target: str) -> None:
    for dtype, options in product(DTYPES, OPTIONS):
        assert casts(pl.Series([], dtype=dtype), target, **options) == []
        assert casts(pl.Series([None, None], dtype=dtype), target, **options) == [None, None]


SAMPLES = [
    pl.Series([0, 1, -1, 260301, 2**63 - 1, -(2**63), None]),
    pl.Series([0, 2**64 - 1, None], dtype=pl.UInt64),
    pl.Series([0.0, -0.0, 1.5, 1e300, float("nan"), float("inf"), 5e-324, None]),
    pl.Series([0.5, float("nan"), 3e38, None], dtype=pl.Float32),
    pl.Series([True, False, None]),
    pl.Series([b"", b"\x00\xff", b"x" * 16, b"{}", None]),
    pl.Series([0, 2**31 - 1, -(2**31), 59, None], dtype=pl.Int32).cast(pl.Date),
    *(
        pl.Series([0, 2**63 - 1, -(2**63) + 1, 10**15, None]).cast(pl.Datetime(unit, zone))
        for unit in ("ms", "us", "ns")
        for zone in (None, "UTC")
    ),
    pl.Series(["1.50", "-0.01", None]).cast(pl.Decimal(10, 2)),
    pl.Series(["a", None]).cast(pl.Categorical),
    pl.Series([0, 86_399_999_999_999, None]).cast(pl.Time),
    pl.Series([1, None]).cast(pl.Duration("us")),
    pl.Series([[1, None], [], None]),
    pl.Series([["a\x00"], None]),
    pl.Series([{"a": 1.5, "b": float("nan")}, None]),
    pl.Series([{"a": b"x"}, None]),
]


@pytest.mark.parametrize("target", TARGETS)
def test_no_column_raises(target: str) -> None:
    for series, options in product(SAMPLES, OPTIONS):
        casts(series, target, **options)


CORPUS = [
    "", " ", "0", "-0", "1", "-1", "+1", "01", "1.0", "1.50", "1e3", "1E+400", "NaN", "inf", "-Infinity",
    "true", "F", "2026-03-01", "2026-02-30", "0000-00-00", "10000-01-01", "2026-03-01T10:00:00Z",
    "2026-03-01 10:00:00", "2026-03-01T24:00:00Z", "10:00:00", "25:00:00", "infinity", "BC", "null",
    "[]", "[1]", '["a"]', '["2026-03-01"]', "{}", '{"a":1.10}', "[[", "\x00", "\ufeff", "é🏦", "260301",
    "9007199254740993", "9" * 50, "1E+999999999", "[1E+999999999]", "[1e400]", '"\\ud800"', "[" * 5000,
    "$2b$12$" + "a" * 53, "a987fbc9-4bed-3078-cf07-9141ba07c9f3", "507f1f77bcf86cd799439011", "%", "{0}",
    "1" * 5000, "[" + "1" * 5000 + "]", "0." + "0" * 5000 + "1", "2026-03-01T10:00:00+99:99",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ANY_TEXT = TEXT | st.text("0123456789+-.:TZeE[]{},\"' \\u", max_size=30) | st.sampled_from(CORPUS)
NEAR = {
    "integer": r"[+-]?0{0,2}[0-9]{1,18}(\.0{0,3})?",
    "number": r"[+-]?[0-9]{0,17}(\.[0-9]{0,17})?([eE][+-]?[0-9]{1,3})?",
    "decimal": r"[+-]?[0-9]{0,40}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?",
    "date": r"[0-2][09][0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](Z|[+-][0-2][0-9])?)?",
    "timestamp": r"[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]"
    r"(\.[0-9]{1,9})?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?)?",
    "time": r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?",
    "uuid": r"[0-9a-fA-F]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}",
    "objectid": r"[0-9a-fA-F]{24}",
    "boolean": r"[tTfF01]|[tT]rue|FALSE",
    "json": r'\{"[ab]": ?(-?[0-9]{1,18}|[0-9]{1,18}\.[0-9]{1,5}|"(\\u0000|[ a-c]){0,3}"),"[ab]":1\}',
    "password_hash": r"\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{52,54}",
}


@pytest.mark.parametrize("target", TARGETS)
def test_no_text_raises_and_no_reason_tells_it(target: str) -> None:
    for options in OPTIONS:
        found = casts(CORPUS, target, zone="Europe/Berlin", **options)
        for text, one in zip(CORPUS, found, strict=True):
            assert not (isinstance(one, Bad) and len(text.strip()) > 2 and text in one)


@settings(deadline=None, max_examples=80)
@given(st.lists(ANY_TEXT, max_size=10), st.sampled_from(TARGETS), st.sampled_from(OPTIONS))
def test_no_text_at_all_raises(texts: list[str], target: str, options: dict[str, Any]) -> None:
    casts(texts, target, dtype=pl.String, zone="Europe/Berlin", **options)


@pytest.mark.parametrize("kind", sorted(NEAR))
def test_the_fast_way_agrees_with_the_rule(kind: Kind) -> None:
    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(st.from_regex(NEAR[kind], fullmatch=True) | ANY_TEXT, max_size=20),
        st.sampled_from([None, 0, 2, 18]),
    )
    def agrees(texts: list[str], scale: int | None) -> None:
        target = parse_type(kind) if scale is None else ColumnType(kind, 38, scale)
        wanted = Wanted(COLUMN, None, target, "Europe/Berlin")
        series = pl.Series(texts, dtype=pl.String)
        result = cast(series, COLUMN, None, target, "Europe/Berlin")
        reasons = result.reasons.to_list() if result.reasons is not None else [None] * len(texts)
        judge = _JUDGES[kind](wanted)
        for text, value, reason in zip(texts, result.values.to_list(), reasons, strict=True):
            try:
                assert (judge(text), None) == (value, reason)
            except Unfit as unfit:
                assert (None, unfit.reason) == (value, reason)

    agrees()


def test_a_good_column_has_no_reasons() -> None:
    for kind, good in [
        ("string", "a"),
        ("integer", "1"),
        ("decimal", "1.5"),
        ("date", "2026-03-01"),
    ]:
        column = Column.model_validate({"type": kind})
        result = cast(pl.Series([good, None]), column, None, parse_type(kind), None)
        assert result.reasons is None


def test_only_the_bad_rows_of_a_long_column_are_lost() -> None:
    texts: list[str | None] = [str(n) for n in range(10_000)]
    texts[17], texts[18], texts[9_999] = "x", None, "9" * 30
    found = casts(texts, "integer")
    assert [n for n, one in enumerate(found) if isinstance(one, Bad)] == [17, 9_999]
    assert found[18] is None
    assert found[19] == 19
