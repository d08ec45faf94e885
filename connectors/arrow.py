"""Frames as ``base`` describes them, made of Arrow arrays."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.records import BAD_COLUMN, CANONICAL

TEXT_KINDS = frozenset(
    {"string", "uuid", "objectid", "password_hash", "decimal", "date", "timestamp", "time"}
)
"""Kinds whose values are read from text, so that bytes declared so are decoded."""


class Delivered(NamedTuple):
    """A column's values, and where one of them could not be delivered (None: nowhere).

    ``canonical`` tells that they are JSON text as orjson prints it.
    """

    values: pa.Array
    bad: pa.Array | None = None
    canonical: bool = False


def joined(parts: Sequence[Delivered]) -> Delivered:
    """The column that comes in parts."""
    bad = None
    if any(part.bad is not None for part in parts):
        bad = joined_flags([part.bad for part in parts], [len(part.values) for part in parts])
    values = pa.concat_arrays([part.values for part in parts])
    return Delivered(values, bad, all(part.canonical for part in parts))


def joined_flags(parts: Sequence[pa.Array | None], rows: Sequence[int]) -> pa.Array:
    """The boolean column that comes in parts of so many rows; None stands for no true one."""
    if all(part is None for part in parts):
        return false(sum(rows))
    whole = [false(n) if part is None else part for part, n in zip(parts, rows, strict=True)]
    return pa.concat_arrays(whole)


def frame(
    columns: Mapping[str, Delivered],
    flags: Mapping[str, pa.Array],
    told: pa.Array | None = None,
) -> pd.DataFrame:
    """The frame of some columns, ``BAD_COLUMN``, and the boolean columns ``flags``.

    ``told`` names the bad columns that the source found itself.
    """
    arrays = {name: column.values for name, column in columns.items()}
    bad = _first_bad(columns)
    arrays[BAD_COLUMN] = bad if told is None else pc.coalesce(bad, told)
    arrays.update(flags)
    table = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
    made: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    made.attrs[CANONICAL] = [name for name, column in columns.items() if column.canonical]
    return made


def false(rows: int) -> pa.Array:
    """A boolean column without a true one."""
    return pa.repeat(pa.scalar(False), rows)


def text(raw: pa.Array) -> Delivered:
    """Binary values as text; those that are no UTF-8 are bad."""
    try:
        return Delivered(raw.cast(pa.string()))
    except pa.ArrowInvalid:
        return text_of([_decoded(value) for value in raw.to_pylist()], raw.is_valid())


def text_of(values: Sequence[str | None], wanted: pa.Array) -> Delivered:
    """Text where there is some; bad where it is None though ``wanted``."""
    array = pa.array(values, pa.string())
    return Delivered(array, pc.and_(wanted, array.is_null()))


def from_hex(digits: pa.Array) -> pa.Array:
    """Binary values from their hexadecimal text."""
    values = [None if each is None else unhexlify(each) for each in digits.to_pylist()]
    return pa.array(values, pa.binary())


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _first_bad(columns: Mapping[str, Delivered]) -> pa.Array:
    first: Any = None
    for name, column in reversed(list(columns.items())):
        if first is None:
            first = pa.nulls(len(column.values), pa.string())
        if column.bad is not None:
            first = pc.if_else(column.bad, pa.scalar(name, pa.string()), first)
    return first
