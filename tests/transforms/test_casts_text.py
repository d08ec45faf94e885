"""Strings, binary, ids of a fixed build, password hashes; trim, case and null_values."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.casting import Bad, cast_one, casts, same

NUL, NOT_TEXT, NOT_FINITE = Bad("nul_character"), Bad("not_text"), Bad("not_finite")
UNKNOWN, NOT_UUID = Bad("unknown_hash_scheme"), Bad("not_a_uuid")
NOT_OBJECTID = Bad("not_an_objectid")
EAST = timezone(timedelta(hours=2))

STRINGS = [
    ("", ""), ("a", "a"), (" a ", " a "), ("Zoë 🏦", "Zoë 🏦"), ("\ufeffa", "\ufeffa"),
    ("a\nb\t\x01", "a\nb\t\x01"), ("e\u0301", "e\u0301"), ("\x00", NUL), ("a\x00b", NUL),
    ("00123", "00123"), (12, "12"), (-(2**63), str(-(2**63))), (1.0, "1.0"), (0.1, "0.1"),
    (1e16, "1e+16"), (1e-7, "1e-07"), (float("nan"), NOT_FINITE), (float("inf"), NOT_FINITE),
    (True, "true"), (False, "false"), (Decimal("1.10"), "1.10"), (Decimal("-3"), "-3"),
    (date(2026, 3, 1), "2026-03-01"), (datetime(2026, 3, 1, 4, 5), "2026-03-01T04:05:00"),
    (datetime(2026, 3, 1, 4, 5, 6, 7), "2026-03-01T04:05:06.000007"),
    (datetime(2026, 3, 1, 4, 5, tzinfo=UTC), "2026-03-01T04:05:00Z"),
    (datetime(2026, 3, 1, 4, 5, tzinfo=EAST), "2026-03-01T02:05:00Z"),
    (time(4, 5, 6), "04:05:06"), (time(4, 5, 6, 7), "04:05:06.000007"),
    (b"bytes", NOT_TEXT),
]  # fmt: skip

CLEANED = [
    (" a ", {"trim": True}, "a"), ("\u00a0a\u2003", {"trim": True}, "a"), (" ", {"trim": True}, ""),
    ("aB", {"case": "lower"}, "ab"), ("aß", {"case": "upper"}, "ASS"),
    ("İ", {"case": "lower"}, "i̇"),
    ("N/A", {"null_values": ["N/A"]}, None), ("n/a", {"null_values": ["N/A"]}, "n/a"),
    (" N/A", {"null_values": ["N/A"]}, " N/A"),
    (" N/A ", {"null_values": ["N/A"], "trim": True}, None),
    (" N/A ", {"null_values": ["n/a"], "trim": True, "case": "lower"}, None),
    ("", {"null_values": [""]}, None), ("  ", {"null_values": [""], "trim": True}, None),
    (0, {"null_values": ["0"]}, None), (10, {"null_values": ["0"]}, "10"),
    (True, {"null_values": ["true"]}, None), (Decimal("0.00"), {"null_values": ["0.00"]}, None),
    (date(9999, 12, 31), {"null_values": ["9999-12-31"]}, None),
    (datetime(9999, 12, 31), {"null_values": ["9999-12-31 00:00:00"]}, None),
]  # fmt: skip

NULLS_OF_OTHER_KINDS = [
    ("integer", "-1", ["-1"], None), ("integer", -1, ["-1"], None), ("integer", "x", ["x"], None),
    ("number", -1.0, ["-1"], None), ("number", -1.0, ["-1.0"], None), ("number", 1.0, ["x"], 1.0),
    ("number", float("nan"), ["NaN"], None), ("number", float("inf"), ["Infinity"], None),
    ("number", float("nan"), ["x"], NOT_FINITE), ("number", "NaN", ["NaN"], None),
    ("decimal", "999.99", ["999.99"], None), ("date", "0000-00-00", ["0000-00-00"], None),
    ("date", date(1900, 1, 1), ["1900-01-01"], None), ("boolean", "?", ["?"], None),
    ("timestamp", "infinity", ["infinity"], None), ("uuid", "none", ["none"], None),
    ("json", "", [""], None), ("string[]", "", [""], None), ("password_hash", "", [""], None),
    ("password_hash", "LOCKED", ["LOCKED"], None),
]  # fmt: skip

CANONICAL = "a987fbc9-4bed-3078-cf07-9141ba07c9f3"
UUIDS = [
    (CANONICAL, CANONICAL), (CANONICAL.upper(), CANONICAL), (CANONICAL.replace("-", ""), CANONICAL),
    ("{" + CANONICAL + "}", CANONICAL), ("{" + CANONICAL.upper() + "}", CANONICAL),
    ("urn:uuid:" + CANONICAL, CANONICAL), ("URN:UUID:" + CANONICAL.upper(), CANONICAL),
    (CANONICAL.replace("-", "").upper(), CANONICAL), (uuid.UUID(CANONICAL).bytes, CANONICAL),
    ("", NOT_UUID), (CANONICAL[:-1], NOT_UUID), (CANONICAL + "0", NOT_UUID), (b"short", NOT_UUID),
    ("{" + CANONICAL, NOT_UUID), (CANONICAL + "}", NOT_UUID), (CANONICAL + "\n", NOT_UUID),
    ("g" + CANONICAL[1:], NOT_UUID), (" " + CANONICAL, NOT_UUID), (7, NOT_UUID),
    ("a-987fbc94bed3078cf079141ba07c9f3", NOT_UUID),
]  # fmt: skip

OBJECTIDS = [
    ("507f1f77bcf86cd799439011", "507f1f77bcf86cd799439011"),
    ("507F1F77BCF86CD799439011", "507f1f77bcf86cd799439011"),
    ("507f1f77bcf86cd79943901", NOT_OBJECTID), ("507f1f77bcf86cd7994390111", NOT_OBJECTID),
    ("507f1f77bcf86cd79943901g", NOT_OBJECTID), ("", NOT_OBJECTID), (5, NOT_OBJECTID),
    ("507f1f77bcf86cd799439011\n", NOT_OBJECTID),
]  # fmt: skip

SALT, DIGEST = "c29tZXNhbHRzb21lc2FsdA", "A" * 43
GOOD_HASHES = [
    f"$argon2id$v=19$m=65536,t=3,p=4${SALT}${DIGEST}",
    f"$argon2i$v=19$m=65536,t=3,p=4${SALT}${DIGEST}",
    f"$argon2d$m=65536,t=3,p=4${SALT}${DIGEST}",
    "$2b$12$" + "./Aa0" * 10 + "abc", "$2a$04$" + "a" * 53, "$2y$31$" + "Z" * 53,
    f"$scrypt$ln=16,r=8,p=1${SALT}${DIGEST}",
    f"$pbkdf2-sha256$29000${SALT}${DIGEST}", f"$pbkdf2-sha512$i=600000,l=64${SALT}${DIGEST}",
]  # fmt: skip
BAD_HASHES = [
    "", " ", "secret", "hunter2hunter2", "5f4dcc3b5aa765d61d8327deb882cf99", "!", "*", "x",
    "$1$salt$Jf0mPz8YvZqPzW4C8vXyZ1", "$5$rounds=5000$salt$" + "a" * 43, "{SSHA}" + "a" * 28,
    "$2b$12$" + "a" * 52, "$2b$12$" + "a" * 54, "$2b$03$" + "a" * 53, "$2b$32$" + "a" * 53,
    "$2x$12$" + "a" * 53, "$2b$1$" + "a" * 53, "$2B$12$" + "a" * 53, " $2b$12$" + "a" * 53,
    "$2b$12$" + "a" * 53 + "\n", "$2b$12$" + "a" * 52 + "+",
    f"$argon2id$v=19$m=65536,t=3${SALT}${DIGEST}", f"$argon2id$v=19$m=65536,t=3,p=4${SALT}$",
    "$argon2id$v=19$m=65536,t=3,p=4$", f"$ARGON2ID$v=19$m=65536,t=3,p=4${SALT}${DIGEST}",
    f"$pbkdf2${SALT}${DIGEST}", f"$pbkdf2-sha1$29000${SALT}${DIGEST}",
    "pbkdf2_sha256$600000$salt$" + DIGEST,
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), STRINGS)
def test_strings(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "string"), expected)


@pytest.mark.parametrize(("value", "options", "expected"), CLEANED)
def test_cleaning(value: Any, options: dict[str, Any], expected: Any) -> None:
    assert same(cast_one(value, "string", **options), expected)


@pytest.mark.parametrize(("target", "value", "nulls", "expected"), NULLS_OF_OTHER_KINDS)
def test_null_values_of_other_kinds(
    target: str, value: Any, nulls: list[str], expected: Any
) -> None:
    assert same(cast_one(value, target, null_values=nulls), expected)


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ("integer", " 7 ", 7),
        ("decimal", " 7.10 ", "7.10"),
        ("date", " 2026-03-01\n", date(2026, 3, 1)),
        ("boolean", " t", True),
        ("uuid", f" {CANONICAL} ", CANONICAL),
        ("json", " [1]\t", "[1]"),
    ],
)
def test_trim_applies_to_the_text_of_every_kind(target: str, value: str, expected: Any) -> None:
    assert same(cast_one(value, target, trim=True), expected)


@pytest.mark.parametrize(("value", "expected"), UUIDS)
def test_uuids(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "uuid"), expected)


@pytest.mark.parametrize(("value", "expected"), OBJECTIDS)
def test_objectids(value: Any, expected: Any) -> None:
    assert same(cast_one(value, "objectid"), expected)


@pytest.mark.parametrize("value", GOOD_HASHES)
@pytest.mark.parametrize("options", [{}, {"trim": True, "case": "lower"}, {"case": "upper"}])
def test_known_hashes_are_exact_to_the_byte(value: str, options: dict[str, Any]) -> None:
    assert same(cast_one(value, "password_hash", **options), value)


@pytest.mark.parametrize("value", BAD_HASHES)
@pytest.mark.parametrize("options", [{}, {"trim": True, "case": "lower"}])
def test_other_hashes_are_refused(value: str, options: dict[str, Any]) -> None:
    assert same(cast_one(value, "password_hash", **options), UNKNOWN)


def test_hashes_are_text() -> None:
    assert casts([GOOD_HASHES[0].encode(), None], "password_hash") == [UNKNOWN, None]


def test_binary_is_base64() -> None:
    assert casts([b"\x00\xff\xfe", b"", None], "binary") == ["AP/+", "", None]
    assert casts(["AP/+", None], "binary") == [Bad("not_binary"), None]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"])])
def test_categories_are_text(dtype: Any) -> None:
    assert casts(["a", None, "b"], "string", dtype=dtype, case="upper") == ["A", None, "B"]
    assert casts(["a"], "integer", dtype=dtype) == [Bad("not_an_integer")]


def test_lists_and_documents_are_no_text() -> None:
    assert casts([["a"], None], "string") == [NOT_TEXT, None]
    assert casts([{"a": 1}, None], "string", null_values=["x"]) == [NOT_TEXT, None]


def test_nanoseconds_show_in_text() -> None:
    series = pl.Series([1, 1000]).cast(pl.Datetime("ns"))
    assert casts(series, "string") == [
        "1970-01-01T00:00:00.000000001",
        "1970-01-01T00:00:00.000001",
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXT, max_size=20))
def test_any_text_arrives_unchanged_unless_it_holds_nul(values: list[str]) -> None:
    expected = [NUL if "\x00" in value else value for value in values]
    assert casts(values, "string", dtype=pl.String) == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_binary_against_python(values: list[bytes]) -> None:
    expected = [base64.b64encode(value).decode() for value in values]
    assert casts(values, "binary", dtype=pl.Binary) == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(st.uuids(), max_size=20))
def test_uuids_against_python(values: list[uuid.UUID]) -> None:
    expected = [str(value) for value in values]
    for spelling in (str, lambda value: value.hex.upper(), lambda value: f"{{{value}}}"):
        assert casts([spelling(value) for value in values], "uuid", dtype=pl.String) == expected
    assert casts([value.bytes for value in values], "uuid", dtype=pl.Binary) == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXT, max_size=20), st.sampled_from(["lower", "upper"]))
def test_items_of_arrays_are_cleaned_like_columns(values: list[str], case: str) -> None:
    options = {"trim": True, "case": case, "null_values": ["", "x", "X"]}
    (items,) = casts([orjson.dumps(values).decode()], "string[]", **options)
    one_by_one = casts(values, "string", dtype=pl.String, **options)
    if NUL in one_by_one:
        assert items == NUL
    else:
        assert orjson.loads(items) == one_by_one
