"""Writes the documents of one bucket after the other, under the bucket's fence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from core.document import Stale
from core.errors import FenceLost, TargetError, TargetUnavailable
from core.records import BucketDocuments
from store.client import Timeouts
from store.epoch import refuse_lost_counter
from store.expiry import may_expire
from store.facts import Server
from store.fence import ALIVE_S, WAIT_S, Fence, confirm, marks_of, number_of, release, take
from store.keys import Keys
from store.lanes import Lane, Lanes, Write
from store.load import Load
from store.look import Looker
from store.outcome import Loaded, Removed
from store.plan import Planner, Sealer, batches
from store.wire import Primary

LANES = 3
"""Writing connections of a writer by itself: one batch is sent, one carried out, one answered."""

BATCH, INDEXED_BATCH = 16, 2
"""Documents that Redis writes in about 0.3 and 0.1 ms, without a search index and with one."""


@dataclass(frozen=True)
class Limits:
    """How much is written at once, and how long is waited (seconds)."""

    batch_documents: int = BATCH
    batch_bytes: int = 256 * 1024
    lanes: int = LANES
    tries: int = 5
    fence_wait_s: float = WAIT_S
    fence_alive_s: float = ALIVE_S
    replicas: int = 0
    """How many must have confirmed a bucket before it counts as written."""
    replicas_wait_s: float = 5.0


@dataclass(frozen=True)
class Pass:
    """One attempt of one run to write buckets.

    ``attempt`` is unique to the try (``uuid4().hex``). After a ``complete`` pass over a bucket
    older runs may not write it any more. ``raise_epoch`` confirms unchanged documents, too.
    ``stale`` goes into every profile's ``_meta``.
    """

    epoch: int
    attempt: str
    schema_version: int
    complete: bool
    raise_epoch: bool = False
    stale: Stale = ()


class BucketWriter:
    """Writes buckets to one Redis over connections of its own; made once per task.

    Args:
        server: the one that preflight met; another one is refused.
        go_on: asked before every batch; raises where this writer is to stop.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        *,
        server: Server | None = None,
        timeouts: Timeouts = Timeouts(),
        limits: Limits = Limits(),
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._keys, self._limits, self._go_on = keys, limits, go_on
        primary = Primary(url, timeouts, server)
        self._control = primary.wire()
        self._looking = primary.wire()
        self._lanes = [Lane(primary.wire()) for _ in range(limits.lanes)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        for wire in (self._control, self._looking, *(lane.wire for lane in self._lanes)):
            wire.drop()

    def load(self, documents: BucketDocuments, this: Pass, rewrite: Collection[str] = ()) -> Loaded:
        """Makes Redis hold these documents, writing only what differs.

        Args:
            rewrite: users to write even where the digest says unchanged, because the check
                found their documents damaged.

        Raises:
            FenceLost: another writer has taken the bucket, or a newer run has completed it.
            TargetError: Redis can't take the documents; what was written is whole.
        """
        with self._fenced(documents.bucket, this) as (fence, lanes):
            planner = self._planner(fence, this, frozenset(rewrite))
            load = self._load(fence, lanes, planner)
            self._write(lanes, planner, load.profiles(documents))
            self._write(lanes, planner, load.holds(documents))
            return load.loaded(lanes.failed)

    def remove(self, bucket: int, user_ids: Iterable[str], this: Pass) -> Removed:
        """Deletes the documents of users of one bucket, and marks the users as removed.

        Users that this epoch or a newer one has confirmed stay, and count as superseded.

        Raises:
            FenceLost: another writer has taken the bucket, or a newer run has completed it.
            TargetError: Redis did not do it for all.
        """
        with self._fenced(bucket, this) as (fence, lanes):
            planner = self._planner(fence, this, frozenset())
            load = self._load(fence, lanes, planner)
            self._write(lanes, planner, load.removals(user_ids))
            return load.removed()

    def _planner(self, fence: Fence, this: Pass, rewrite: Collection[str]) -> Planner:
        sealer = Sealer(this.schema_version, this.epoch, this.stale)
        marks_key = self._keys.removed(fence.bucket)
        persist = may_expire(self._control, self._keys)
        return Planner(sealer, marks_key, this.raise_epoch, rewrite, persist)

    def _load(self, fence: Fence, lanes: Lanes, planner: Planner) -> Load:
        marks_key = self._keys.removed(fence.bucket)
        marks = marks_of(marks_key, *self._control.look_up(("HGETALL", marks_key)))
        looker = Looker(self._looking, self._control, marks, lanes.keep_alive)
        return Load(self._keys, fence.bucket, planner, looker, self._control)

    def _write(self, lanes: Lanes, planner: Planner, writes: Iterator[Write]) -> None:
        limits = self._limits
        for batch in batches(writes, limits.batch_documents, limits.batch_bytes):
            self._go_on()
            lanes.write(batch)
        lanes.finish()
        if planner.highest > planner.sealer.epoch:
            [counter] = self._control.look_up(("GET", self._keys.epoch))
            refuse_lost_counter(self._keys, number_of(self._keys.epoch, counter), planner.highest)

    @contextmanager
    def _fenced(self, bucket: int, this: Pass) -> Iterator[tuple[Fence, Lanes]]:
        """The bucket's fence and armed lanes; given back at the end, with everything settled."""
        limits = self._limits
        fence = take(
            self._control,
            self._keys,
            bucket,
            this.epoch,
            this.attempt,
            wait_s=limits.fence_wait_s,
            alive_s=limits.fence_alive_s,
        )
        try:
            lanes = Lanes(self._lanes, fence, limits.tries)
            yield fence, lanes
            lanes.finish()
        except BaseException as error:
            self.close()
            if not isinstance(error, FenceLost | TargetUnavailable):
                self._give_up(fence)
            raise
        release(self._control, fence, complete=this.complete)
        if limits.replicas:
            confirm(self._control, fence, limits.replicas, limits.replicas_wait_s)

    def _give_up(self, fence: Fence) -> None:
        # What is still under way can't be executed after this: it watches the fence.
        with suppress(TargetError), self._control:
            release(self._control, fence, complete=False)
