"""JSON text of MongoDB's values: a column at once gives what each value gives alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from bson import Decimal128, Int64, MinKey, ObjectId
from bson.datetime_ms import DatetimeMS

from connectors.bson_text import json_text, json_texts

PLAIN: list[Any] = [
    {"b": [1, Int64(2**62), -0.0, 1e16], "a": {}},
    [],
    ",\n,",
    {"line\n": "end\r\n", "quote": '"'},
    {"of": ObjectId("65a1b2c3d4e5f60718293a4b"), "at": datetime(2026, 1, 2, 3, 4, 5, 6000)},
    [Decimal128("1.50"), b"\x00\xff", DatetimeMS(2**52), True],
    "null",
]
WITH_NULLS: list[Any] = [None, {"a": None}, {"a": [float("nan"), None]}, float("inf"), [None]]
WITHOUT_TEXT: list[Any] = [MinKey(), {"a": "half \udcff"}]


def _texts(values: list[Any]) -> list[bytes | None]:
    return json_texts(values).cast(pa.binary()).to_pylist()


@pytest.mark.parametrize(
    "values", [[], PLAIN, PLAIN + WITH_NULLS, WITH_NULLS, PLAIN + WITHOUT_TEXT, [None]]
)
def test_a_column_at_once(values: list[Any]) -> None:
    assert _texts(values) == [None if v is None else json_text(v) for v in values]


def test_what_has_no_text() -> None:
    assert _texts([*WITH_NULLS, *WITHOUT_TEXT]) == [
        None, b'{"a":null}', None, None, b"[null]", None, None
    ]  # fmt: skip
    assert _texts(PLAIN)[2:4] == [b'",\\n,"', b'{"line\\n":"end\\r\\n","quote":"\\""}']
