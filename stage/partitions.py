"""A table on disk in partitions: Arrow record batches, one for each partition of a chunk.

Beside the file stands an index: where each batch lies, and its checksum. Nothing is taken for
rows, or for the absence of rows, but what the writer finished and the checksums prove.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple
from zlib import crc32

import numpy as np
import polars as pl
import pyarrow as pa

from core.errors import StageError

_INDEX = ".index"


class _Batch(NamedTuple):
    partition: int
    rows: int
    start: int
    length: int
    checksum: int


class PartitionWriter:
    """Appends chunks; the file can be read once ``close`` has written its index.

    All chunks must have the same columns and types. Used by one thread at a time.
    """

    def __init__(self, path: Path, partitions: int) -> None:
        self._path = path
        self._partitions = partitions
        self._file: BinaryIO | None = None
        self._schema: pa.Schema | None = None
        self._batches: list[_Batch] = []
        self._length = 0
        self.rows = 0

    def append(self, rows: pl.DataFrame, partition: pl.Series) -> None:
        """Adds rows, each to the partition that the series of the same length names.

        Raises:
            StageError: the disk is full or can't be written.
        """
        if not rows.height:
            return
        numbers = partition.to_numpy().astype(np.uint16)  # sorted in a tenth of the time
        order = np.argsort(numbers, kind="stable")
        table = rows[order].to_arrow(compat_level=pl.CompatLevel.oldest())
        batch = table.combine_chunks().to_batches()[0]
        bounds = np.searchsorted(numbers[order], np.arange(self._partitions + 1))
        try:
            file = self._open(table.schema)
            for number in np.flatnonzero(np.diff(bounds)):
                start, stop = int(bounds[number]), int(bounds[number + 1])
                data = batch.slice(start, stop - start).serialize()
                file.write(data)
                place = (self._length, data.size, crc32(data))
                self._batches.append(_Batch(int(number), stop - start, *place))
                self._length += data.size
        except OSError as error:
            raise _stage_error(self._path, error) from None
        self.rows += rows.height

    def close(self) -> None:
        """Ends the file and writes its index.

        Raises:
            StageError: the disk is full or can't be written.
        """
        schema = None if self._schema is None else b64encode(self._schema.serialize()).decode()
        index = json.dumps([schema, self._batches]).encode()
        try:
            if self._file is not None:
                self._file.close()
            with _private(_index_of(self._path), os.O_TRUNC) as file:
                file.write(b"%d\n%s" % (crc32(index), index))
        except OSError as error:
            raise _stage_error(self._path, error) from None

    def __enter__(self) -> PartitionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._file is not None:
            self._drop(self._file)

    def _open(self, schema: pa.Schema) -> BinaryIO:
        if self._file is None:
            self._file, self._schema = _private(self._path, os.O_EXCL), schema
        if schema != self._schema:
            raise ValueError(f"{self._path.name}: a chunk has other columns than those before")
        return self._file

    @staticmethod
    def _drop(file: BinaryIO) -> None:
        try:
            file.close()
        except OSError:
            pass  # the disk is full: an error is under way that says so


class PartitionReader:
    """Reads partitions of a finished file.

    Raises:
        StageError: the file was never finished, or its index is damaged or gone.
    """

    def __init__(self, path: Path) -> None:
        self._take(path, *_read_index(path))

    @classmethod
    def empty(cls, path: Path) -> PartitionReader:
        """A reader of no rows."""
        reader = cls.__new__(cls)
        reader._take(path, None, [])
        return reader

    def _take(self, path: Path, schema: str | None, batches: list[_Batch]) -> None:
        self._path = path
        encoded = None if schema is None else pa.py_buffer(b64decode(schema))
        self._schema = None if encoded is None else pa.ipc.read_schema(encoded)
        self._batches: dict[int, list[_Batch]] = {}
        for batch in batches:
            self._batches.setdefault(batch.partition, []).append(batch)

    def rows(self, partition: int) -> int:
        """How many rows a partition has."""
        return sum(batch.rows for batch in self._batches.get(partition, ()))

    @property
    def total_rows(self) -> int:
        """How many rows the file has."""
        return sum(map(self.rows, self._batches))

    @property
    def partitions(self) -> list[int]:
        """The partitions that have rows, in order."""
        return sorted(self._batches)

    def read(
        self, partitions: Sequence[int], columns: Sequence[str] | None = None
    ) -> pl.DataFrame | None:
        """The rows of some partitions, with some or all columns; None where there are none.

        Raises:
            StageError: the file is damaged or gone.
        """
        wanted = [batch for number in partitions for batch in self._batches.get(number, ())]
        if not wanted:
            return None
        try:
            with self._path.open("rb") as file:
                table = pa.Table.from_batches([self._batch(file, batch) for batch in wanted])
        except OSError as error:
            raise _stage_error(self._path, error) from None
        if columns is not None:
            table = table.select(list(columns))
        # in one piece: Polars takes its time for each column of each batch
        frame = pl.from_arrow(table.combine_chunks())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _batch(self, file: BinaryIO, batch: _Batch) -> pa.RecordBatch:
        file.seek(batch.start)
        data = file.read(batch.length)
        # checked before it is parsed: Arrow and Polars trust the offsets in a batch
        if len(data) != batch.length or crc32(data) != batch.checksum:
            raise _damaged(self._path)
        return pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)


def remove(path: Path) -> None:
    """Deletes a file and its index, where there are any."""
    _index_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _read_index(path: Path) -> tuple[str | None, list[_Batch]]:
    try:
        checksum, _, index = _index_of(path).read_bytes().partition(b"\n")
    except OSError as error:
        raise _stage_error(path, error) from None
    if checksum != b"%d" % crc32(index):
        raise _damaged(path)
    schema, batches = json.loads(index)
    return schema, [_Batch(*batch) for batch in batches]


def _index_of(path: Path) -> Path:
    return path.with_name(path.name + _INDEX)


def _private(path: Path, how: int) -> BinaryIO:
    """A file to write that nobody else may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | how, 0o600), "wb")


def _stage_error(path: Path, error: OSError) -> StageError:
    return StageError(f"{path.name} in {path.parent}: {error.strerror}")


def _damaged(path: Path) -> StageError:
    return StageError(f"{path.name} in {path.parent}: damaged")
