"""The bucket of every user, by columns: CRC16 hash slots as Redis Cluster computes them.

``store.keys`` has the same for one key; a test compares the two.
"""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import polars as pl
from numpy.typing import NDArray

SLOTS = 16384
_POLYNOMIAL = 0x1021
_UNRESERVED = r"^[A-Za-z0-9_.~-]*$"


def _crc_table() -> NDArray[np.uint16]:
    table = np.zeros(256, dtype=np.uint16)
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ _POLYNOMIAL) & 0xFFFF if crc & 0x8000 else crc << 1
        table[byte] = crc
    return table


_TABLE = _crc_table()


def key_texts(user_ids: pl.Series) -> pl.Series:
    """User ids (integers or texts) as they stand in keys: percent-encoded, so injective."""
    texts = user_ids.cast(pl.String)
    if user_ids.dtype.is_integer() or texts.str.contains(_UNRESERVED).all():
        return texts
    return pl.Series(
        texts.name,
        [None if text is None else quote(text, safe="") for text in texts.to_list()],
        dtype=pl.String,
    )


def buckets_of(user_ids: pl.Series, key_template: str, buckets: int) -> pl.Series:
    """The bucket (Int32) of every user id; ids must not be null."""
    before, _, after = key_template.partition("{user_id}")
    crc = _crc(key_texts(user_ids), before.encode(), after.encode())
    bucket = (crc % SLOTS).astype(np.int32) * buckets // SLOTS
    return pl.Series("__bucket", bucket, dtype=pl.Int32)


def _crc(texts: pl.Series, before: bytes, after: bytes) -> NDArray[np.uint16]:
    crc = np.zeros(len(texts), dtype=np.uint16)
    for byte in before:
        crc = _step(crc, np.full(1, byte, dtype=np.uint8))
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    data = np.frombuffer(texts.str.join("").item().encode(), dtype=np.uint8)
    offsets = np.cumsum(lengths) - lengths
    for position in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > position)
        crc[rows] = _step(crc[rows], data[offsets[rows] + position])
    for byte in after:
        crc = _step(crc, np.full(1, byte, dtype=np.uint8))
    return crc


def _step(crc: NDArray[np.uint16], byte: NDArray[np.uint8]) -> NDArray[np.uint16]:
    stepped: NDArray[np.uint16] = (crc << np.uint16(8)) ^ _TABLE[
        ((crc >> np.uint16(8)) ^ byte) & np.uint16(0xFF)
    ]
    return stepped
