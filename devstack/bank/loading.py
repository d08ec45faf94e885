"""Loads the bank: blocks are made one after the other, and written to all product lines at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import polars as pl

from devstack.bank.core_rows import Frames
from devstack.bank.lending_writer import MariaDBWriter, SQLiteWriter
from devstack.bank.mongodb_writer import MongoWriter
from devstack.bank.postgres_writer import PostgresWriter
from devstack.bank.schema import CARDS, CORE
from devstack.bank.servers import Servers
from devstack.bank.words import PERMISSIONS
from devstack.bank.writers import Writer

WAITING = 1
"""Blocks that may wait for a slow product line: more would only take memory."""

Say = Callable[[str], None]


def writers_of(servers: Servers) -> dict[str, Writer]:
    """A writer for each product line; to be closed."""
    lending, place = servers.admins.get("lending"), servers.urls["lending"]
    return {
        "core": PostgresWriter(servers.admins["core"], servers.urls["core"], CORE),
        "cards": PostgresWriter(servers.admins["cards"], servers.urls["cards"], CARDS),
        "lending": MariaDBWriter(lending, place) if lending else SQLiteWriter(place),
        "engagement": MongoWriter(servers.urls["engagement"]),
    }


def load_blocks(writers: Mapping[str, Writer], blocks: Iterable[Frames], say: Say) -> None:
    """Makes all databases anew and fills them, side by side."""
    lines = {name: _Line(name, writer, say) for name, writer in writers.items()}
    with ExitStack() as cleanup, ThreadPoolExecutor(len(lines)) as threads:
        futures = [threads.submit(line.run) for line in lines.values()]
        for line in lines.values():
            cleanup.callback(line.end)
        lines["core"].put({"role": _roles()})
        for frames in blocks:
            for line in lines.values():
                line.put(frames)
        for line in lines.values():
            line.end()
        for future in futures:
            future.result()


def _roles() -> pl.DataFrame:
    pairs = [(role, what) for role, granted in PERMISSIONS.items() for what in granted]
    return pl.DataFrame(pairs, schema=["role", "permission"], orient="row")


class _Line:
    """One product line's thread: takes blocks from a short queue until the end."""

    def __init__(self, name: str, writer: Writer, say: Say) -> None:
        self._name, self._writer, self._say = name, writer, say
        self._blocks: queue.Queue[Frames | None] = queue.Queue(WAITING)
        self._failed = threading.Event()

    def put(self, frames: Frames) -> None:
        """Hands a block over; waits while the line is behind, but not for one that failed."""
        self._offer(frames)

    def end(self) -> None:
        """Says that no more blocks come."""
        self._offer(None)

    def run(self) -> None:
        """Writes what comes."""
        try:
            self._writer.create()
            written = 0
            while (frames := self._blocks.get()) is not None:
                written += self._writer.write(frames)
                self._writer.commit()
            self._say(f"{self._name}: {written:,} rows, making indexes")
            self._writer.index()
        except BaseException:
            self._failed.set()
            raise

    def _offer(self, frames: Frames | None) -> None:
        while not self._failed.is_set():
            try:
                return self._blocks.put(frames, timeout=0.1)
            except queue.Full:
                continue
