"""Frames out of MongoDB's documents: BSON is decoded piece by piece, and only once."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from bson import CodecOptions, decode_all
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion

from connectors.arrow import Delivered, frame, joined, joined_flags
from connectors.bson_columns import column
from connectors.chunks import Message
from connectors.nested import CROSSED, at, unnest
from core.records import ABSENT, EMPTY, Query
from core.values import ColumnType

PIECE_BYTES = 256 * 2**10
"""How much BSON is decoded at once: its objects should fit the CPU's caches (decision 0015)."""

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=False,
    uuid_representation=UuidRepresentation.STANDARD,
    # What is no UTF-8, or no instant that Python knows, must not fail its whole batch.
    unicode_decode_error_handler="surrogateescape",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)

Document = dict[str, Any]


def slices(batches: Iterable[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Batches of BSON cut at the ends of documents into pieces of about ``piece_bytes``."""
    held = b""
    for batch in batches:
        held += batch
        if len(held) < piece_bytes:
            continue
        start = end = 0
        while end < len(held):
            end += int.from_bytes(held[end : end + 4], "little")
            if end - start >= piece_bytes:
                yield held[start:end]
                start = end
        held = held[start:]
    if held:
        yield held


class Part(NamedTuple):
    """The columns of some documents, how many these were, and how many rows came of them."""

    documents: int
    rows: int
    columns: dict[str, Delivered]
    flags: dict[str, pa.Array | None]
    """Boolean columns; None: not one is true."""


def part_of(query: Query, types: Mapping[str, ColumnType], piece: Message) -> Part:
    """The columns of some BSON documents; the garbage collector is at rest.

    Documents hold no cycles, and looking for some costs more than decoding them.
    """
    at_work = gc.isenabled()
    gc.disable()
    try:
        return _part(query, types, decode_all(piece, CODEC))
    finally:
        if at_work:
            gc.enable()


def frame_of(parts: Sequence[Part]) -> pd.DataFrame:
    """The frame that ``base`` describes, of parts with the same columns; at least one."""
    first, rows = parts[0], [part.rows for part in parts]
    columns = {name: joined([part.columns[name] for part in parts]) for name in first.columns}
    flags = {name: joined_flags([part.flags[name] for part in parts], rows) for name in first.flags}
    return frame(columns, flags)


def _part(query: Query, types: Mapping[str, ColumnType], documents: Sequence[Document]) -> Part:
    elements = unnest(at(documents, query.unnest.split("."))) if query.unnest else None
    outer = pa.array(elements.rows, pa.int64()) if elements else None
    columns: dict[str, Delivered] = {}
    flags: dict[str, pa.Array | None] = {}
    if elements:
        flags[EMPTY] = pa.array(elements.empty, pa.bool_())
    for wanted in query.columns:
        steps = _below(wanted.path, query.unnest)
        if elements and steps is not None:
            found: Sequence[Any] = at(elements.elements, steps)
            if True in elements.bad:
                found = [CROSSED if bad else v for v, bad in zip(found, elements.bad, strict=True)]
            delivered, absent = column(found, types[wanted.name].kind)
        else:
            found = at(documents, wanted.path.split("."))
            delivered, absent = column(found, types[wanted.name].kind)
            if outer is not None:
                bad = None if delivered.bad is None else delivered.bad.take(outer)
                delivered = delivered._replace(values=delivered.values.take(outer), bad=bad)
                absent = None if absent is None else absent.take(outer)
        columns[wanted.name] = delivered
        flags[ABSENT + wanted.name] = absent
    rows = len(documents) if elements is None else len(elements.rows)
    return Part(len(documents), rows, columns, flags)


def _below(path: str, unnest: str | None) -> tuple[str, ...] | None:
    """The steps from the element to the path, if it leads into the unnested array."""
    if unnest is None or not (path == unnest or path.startswith(unnest + ".")):
        return None
    rest = path[len(unnest) + 1 :]
    return tuple(rest.split(".")) if rest else ()
