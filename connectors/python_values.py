"""Python values of a driver → Arrow arrays in the delivered form of their column's kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from connectors.arrow import Delivered
from core.values import ColumnType

UNREADABLE: Final = object()
"""Stands for a value that has no form to be delivered in."""

_ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
}

_BIG_INTEGER = 2**53


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type in which values of a kind are delivered."""
    return _ARROW.get(kind, pa.string())


def delivered(
    values: Sequence[Any], column: ColumnType, text: Callable[[Any], str | None]
) -> Delivered:
    """A column of Python values; those without a form are null and marked.

    Args:
        text: what a value reads as, None where it has no text.
    """
    wanted = arrow_type(column.kind)
    convert = _CONVERT.get(column.kind)
    if convert is None:
        return _texts(values, text, is_json=column.kind in ("json", "array"))
    made = [None if value is None else convert(value) for value in values]
    bad = [value is UNREADABLE for value in made]
    if not any(bad):
        return Delivered(pa.array(made, wanted))
    cleaned = [None if wrong else value for value, wrong in zip(made, bad, strict=True)]
    return Delivered(pa.array(cleaned, wanted), pa.array(bad))


def _texts(values: Sequence[Any], text: Callable[[Any], str | None], *, is_json: bool) -> Delivered:
    made: list[str | None] = []
    bad: list[bool] = []
    for value in values:
        if value is None:
            made.append(None)
            bad.append(False)
            continue
        if value is UNREADABLE:
            said = None
        elif is_json:
            said = _json(value, text)
        else:
            said = value if type(value) is str else text(value)
        if said is not None and not _is_unicode(said):
            said = None
        made.append(said)
        bad.append(said is None)
    return Delivered(pa.array(made, pa.string()), pa.array(bad) if any(bad) else None)


def _json(value: Any, text: Callable[[Any], str | None]) -> str | None:
    def other(inner: Any) -> str:
        said = text(inner)
        if said is None:
            raise TypeError
        return said

    try:
        if _has_non_finite(value):
            return None
        return orjson.dumps(value, default=other, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except (orjson.JSONEncodeError, TypeError):
        return None


def _has_non_finite(value: Any) -> bool:
    if isinstance(value, float):
        return value != value or value in (float("inf"), float("-inf"))
    if isinstance(value, dict):
        return any(_has_non_finite(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_non_finite(inner) for inner in value)
    return False


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _BIG_INTEGER:
        return int(value)
    if isinstance(value, str):
        digits = value.removeprefix("-")
        plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
        value = int(value) if plain and len(digits) < 20 else UNREADABLE
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    return UNREADABLE


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _BIG_INTEGER:
        return float(value)
    return UNREADABLE


def _boolean(value: Any) -> Any:
    return bool(value) if value in (0, 1) and isinstance(value, int) else UNREADABLE


def _binary(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else UNREADABLE


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "binary": _binary,
}
