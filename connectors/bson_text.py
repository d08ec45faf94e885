"""BSON values as text, exactly: what a text column holds, and JSON for documents and arrays."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from struct import Struct
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from bson import Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS

_BID = Struct("<QQ")
_COEFFICIENT = (1 << 49) - 1
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_LINE_END = orjson.Fragment(b"\n")


def decimal_text(value: Decimal128) -> str:
    """The number as MongoDB prints it: ``1234.50``, ``1E+3``, ``NaN``.

    Reads the usual case off the bits (IEEE 754-2008, binary integer decimal): the driver's own
    ``str`` takes ten times as long.
    """
    low, high = _BID.unpack(value.bid)
    exponent = (high >> 49 & 0x3FFF) - 6176
    digits = str((high & _COEFFICIENT) << 64 | low)
    if high >> 61 & 3 == 3 or not -len(digits) < exponent <= 0:
        return str(value)
    sign = "-" if high >> 63 else ""
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}" if exponent else sign + digits


def instant_text(value: DatetimeMS) -> str:
    """An instant outside of Python's years 1 to 9999, in ISO form."""
    return f"{np.datetime64(int(value), 'ms')}Z"


def json_text(value: Any) -> bytes | None:
    """JSON text of a value; None where it has none (NaN, infinities, MinKey, …)."""
    try:
        printed = orjson.dumps(value, default=_in_json, option=_OPTIONS)
    except TypeError:
        return None
    # orjson prints what is not finite as null: only then a look inside is needed.
    return None if b"null" in printed and not _finite(value) else printed


def json_texts(values: Sequence[Any]) -> pa.Array:
    """What ``json_text`` gives for each value, as an array of strings; null for None."""
    if not values:
        return pa.array([], pa.string())
    # All at once, with line ends between them: what is printed here has none itself.
    parted: list[Any] = [_LINE_END] * (2 * len(values) - 1)
    parted[::2] = values
    try:
        printed = orjson.dumps(parted, default=_in_json, option=_OPTIONS)
    except TypeError:
        each = [None if value is None else json_text(value) for value in values]
        return pa.array(each, pa.string())
    texts = pc.split_pattern(pa.array([printed[1:-1]], pa.string()), ",\n,").flatten()
    if b"null" not in printed:
        return texts
    has_null = pc.match_substring(texts, "null").to_numpy(zero_copy_only=False)
    lost = np.zeros(len(values), dtype=bool)
    for place in np.flatnonzero(has_null).tolist():
        value = values[place]
        lost[place] = value is None or not _finite(value)
    return pc.if_else(pa.array(lost), None, texts)


def _string(value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


TEXT_OF: dict[type, Callable[[Any], str | None]] = {
    str: _string,
    ObjectId: lambda value: value.binary.hex(),
    Decimal128: decimal_text,
    datetime: lambda value: value.isoformat(" ", "microseconds") + "Z",
    DatetimeMS: instant_text,
    int: str,
    Int64: str,
    float: repr,
    bool: lambda value: "true" if value else "false",
    UUID: str,
}
"""The text of a value by its type; a type that is not here has none."""


def _in_json(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    text = TEXT_OF[type(value)](value) if type(value) in TEXT_OF else None
    if text is None:
        raise TypeError
    return text


def _finite(value: Any) -> bool:
    if type(value) is dict:
        return all(map(_finite, value.values()))
    if type(value) is list:
        return all(map(_finite, value))
    return type(value) is not float or math.isfinite(value)
