"""A table on disk in partitions: one Arrow file, a record batch for each partition of a chunk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl
import pyarrow as pa

from core.errors import StageError

_INDEX = ".index"


class PartitionWriter:
    """Appends chunks; the file can be read once ``close`` has written its index.

    All chunks must have the same columns and types. Used by one thread at a time.
    """

    def __init__(self, path: Path, partitions: int) -> None:
        self._path = path
        self._partitions = partitions
        self._file: pa.OSFile | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._batches: list[tuple[int, int]] = []
        self.rows = 0

    def append(self, rows: pl.DataFrame, partition: pl.Series) -> None:
        """Adds rows, each to the partition that the series of the same length names.

        Raises:
            StageError: the disk is full or can't be written.
        """
        if not rows.height:
            return
        numbers = partition.to_numpy()
        order = np.argsort(numbers, kind="stable")
        table = rows[order].to_arrow(compat_level=pl.CompatLevel.oldest())
        batch = table.combine_chunks().to_batches()[0]
        bounds = np.searchsorted(numbers[order], np.arange(self._partitions + 1))
        try:
            writer = self._open(table.schema)
            for number in np.flatnonzero(np.diff(bounds)):
                start, stop = int(bounds[number]), int(bounds[number + 1])
                writer.write_batch(batch.slice(start, stop - start))
                self._batches.append((int(number), stop - start))
        except (OSError, pa.ArrowInvalid) as error:
            raise _stage_error(self._path, error) from None
        self.rows += rows.height

    def close(self) -> None:
        """Ends the file and writes its index.

        Raises:
            StageError: the disk is full or can't be written.
        """
        try:
            if self._writer is not None and self._file is not None:
                self._writer.close()
                self._file.close()
                index = self._path.with_name(self._path.name + _INDEX)
                index.write_text(json.dumps(self._batches), encoding="ascii")
        except (OSError, pa.ArrowInvalid) as error:
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
            self._file.close()

    def _open(self, schema: pa.Schema) -> pa.RecordBatchFileWriter:
        if self._writer is None:
            handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.close(handle)
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_file(self._file, schema)
        return self._writer


class PartitionReader:
    """Reads partitions of a finished file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        index = path.with_name(path.name + _INDEX)
        try:
            batches = json.loads(index.read_text(encoding="ascii")) if index.exists() else []
        except (OSError, ValueError) as error:
            raise _stage_error(path, error) from None
        self._batches: dict[int, list[int]] = {}
        self._rows: dict[int, int] = {}
        for position, (number, rows) in enumerate(batches):
            self._batches.setdefault(number, []).append(position)
            self._rows[number] = self._rows.get(number, 0) + rows

    def rows(self, partition: int) -> int:
        """How many rows a partition has."""
        return self._rows.get(partition, 0)

    @property
    def total_rows(self) -> int:
        """How many rows the file has."""
        return sum(self._rows.values())

    @property
    def partitions(self) -> list[int]:
        """The partitions that have rows, in order."""
        return sorted(self._rows)

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
            with pa.OSFile(str(self._path), "rb") as file:
                options = pa.ipc.IpcReadOptions()
                if columns is not None:
                    names = pa.ipc.open_file(file).schema.names
                    options.included_fields = [names.index(column) for column in columns]
                    file.seek(0)
                source = pa.ipc.open_file(file, options=options)
                table = pa.Table.from_batches([source.get_batch(batch) for batch in wanted])
        except (OSError, pa.ArrowInvalid) as error:
            raise _stage_error(self._path, error) from None
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame if columns is None else frame.select(columns)

    def remove(self) -> None:
        """Deletes the file, where there is one."""
        self._path.unlink(missing_ok=True)
        self._path.with_name(self._path.name + _INDEX).unlink(missing_ok=True)


def _stage_error(path: Path, error: Exception) -> StageError:
    code = getattr(error, "errno", None)
    reason = os.strerror(code) if code else "not a whole Arrow file"
    return StageError(f"{path.name} in {path.parent}: {reason}")
