"""Fenced writing: small batches over some connections that take turns.

On each connection a batch goes as ``MULTI … EXEC WATCH fence GET fence``: the WATCH and GET for
the next batch ride behind this one's EXEC. A connection sends its next batch only after it has
read that GET and compared it. Sent before, a fence that changed between EXEC and WATCH would be
watched too late.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis.exceptions as driver

from core.errors import FenceLost, TargetUnavailable
from store.backoff import TRIES, pauses
from store.driver_errors import mapped
from store.fence import Fence
from store.resp import EXEC, MULTI, UNWATCH, packed, watch_and_get
from store.wire import Restarted, Wire

WRONG_TYPE = "wrong_type"
VANISHED = "vanished"
_SINGLE_ERRORS = {
    "Existing key has wrong Redis type": WRONG_TYPE,
    "WRONGTYPE": WRONG_TYPE,
    "new objects must be created at the root": VANISHED,
}
_AT_THE_END = {-2: "WATCH", -1: "GET"}
"""By place, the commands behind EXEC."""


class Write(NamedTuple):
    """What is written for one user, in one MULTI."""

    user_id: str
    packed: bytes
    commands: int
    oks: int
    """How many of the commands answer OK."""
    kind: str
    """The field of ``LoadCounts`` that counts the user."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some users' writes that one EXEC executes."""

    writes: list[Write]
    packed: bytes


class Lane:
    """One writing connection and the batch that is under way on it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.batch: Batch | None = None
        self._replies = 0
        self._refreshed = False

    def arm(self, fence: Fence, found: bytes) -> None:
        """Watches the fence; ``found`` is ``watch_and_get`` of its key."""
        self.batch = None
        self.wire.open()
        self.wire.send(UNWATCH + found)
        self.wire.answer("UNWATCH")
        self.wire.answer("WATCH")
        self._compare(fence, self.wire.answer("GET"))

    def send(self, batch: Batch, refresh: bytes, found: bytes) -> None:
        """Sends a batch; ``refresh`` is a packed command to put before it, or nothing."""
        self.batch = batch
        self._refreshed = bool(refresh)
        self._replies = sum([write.commands for write in batch.writes]) + self._refreshed
        self.wire.send(b"".join((MULTI, refresh, batch.packed, EXEC, found)))

    def settle(self, fence: Fence) -> list[tuple[Write, str]]:
        """Reads all replies of the batch; returns what could not be written, and why.

        Raises:
            FenceLost: nothing of the batch was written.
            TargetUnavailable: whether it was written is unknown.
        """
        batch, self.batch = self.batch, None
        if batch is None:
            return []
        results, found = self._replied()
        if results is None:
            raise fence.lost(found)
        failed = self._failed(batch, results)
        self._compare(fence, found)
        return failed

    def _replied(self) -> tuple[list[Any] | None, bytes | None]:
        """What EXEC gave, and what GET found behind it."""
        replies = self.wire.replies(self._replies + 4, "JSON.SET")
        for place, reply in enumerate(replies, -len(replies)):
            if isinstance(reply, driver.RedisError):
                self.wire.drop()
                raise mapped(reply, _AT_THE_END.get(place, "JSON.SET"))
        opened, results, found = replies[0], replies[-3], replies[-1]
        in_order = opened == b"OK" and replies.count(b"QUEUED") == self._replies
        if not in_order or (results is not None and len(results) != self._replies):
            self.wire.drop()
            raise TargetUnavailable("replies came out of order")
        return results, found

    def _failed(self, batch: Batch, results: list[Any]) -> list[tuple[Write, str]]:
        good = results.count(b"OK")
        if good == len(results):
            return []
        oks = sum([write.oks for write in batch.writes]) + self._refreshed
        if good == oks and not any(isinstance(r, Exception) for r in results):
            return []
        failed = []
        position = int(self._refreshed)
        for write in batch.writes:
            mine = results[position : position + write.commands]
            position += write.commands
            if reason := _reason(mine, write.oks):
                failed.append((write, reason))
        return failed

    def _compare(self, fence: Fence, found: bytes | None) -> None:
        if found != fence.value:
            raise fence.lost(found)


def _reason(results: Iterable[Any], oks: int) -> str | None:
    good = 0
    for result in results:
        if isinstance(result, driver.RedisError):
            for start, reason in _SINGLE_ERRORS.items():
                if str(result).removeprefix("ERR ").startswith(start):
                    return reason
            raise mapped(result, "JSON.SET")
        good += result == b"OK"
    return None if good == oks else VANISHED


class Lanes:
    """The writing connections of one bucket's load, taking turns.

    After an error no further batch is sent on any of them.
    """

    def __init__(self, lanes: list[Lane], fence: Fence, tries: int = TRIES) -> None:
        self._lanes, self._fence, self._tries = lanes, fence, tries
        self._found = watch_and_get(fence.key)
        self._refresh = packed(*fence.refresh)
        self._refresh_at = time.monotonic() + fence.alive_s / 4
        self._turn = 0
        self.failed: list[tuple[Write, str]] = []
        for lane in lanes:
            try:
                lane.arm(fence, self._found)
            except TargetUnavailable as error:
                self._again(lane, Batch([], b""), error)

    def write(self, batch: Batch) -> None:
        """Sends a batch once its lane is free.

        Raises:
            FenceLost: another writer has taken the bucket.
            TargetError: Redis can't take it; for TargetUnavailable after several tries.
        """
        lane = self._lanes[self._turn]
        self._turn = (self._turn + 1) % len(self._lanes)
        self._settle(lane)
        try:
            lane.send(batch, self._due(), self._found)
        except TargetUnavailable as error:
            self._again(lane, batch, error)

    def keep_alive(self) -> None:
        """Tells others that this writer works, where that is due."""
        if time.monotonic() >= self._refresh_at:
            self.write(Batch([], b""))

    def finish(self) -> None:
        """Waits for everything under way."""
        for lane in self._lanes:
            self._settle(lane)

    def drop(self) -> None:
        """Closes all connections; what is under way may still be executed, under our fence."""
        for lane in self._lanes:
            lane.batch = None
            lane.wire.drop()

    def _due(self) -> bytes:
        now = time.monotonic()
        if now < self._refresh_at:
            return b""
        self._refresh_at = now + self._fence.alive_s / 4
        return self._refresh

    def _settle(self, lane: Lane) -> None:
        batch = lane.batch
        if batch is None:
            return
        try:
            self.failed.extend(lane.settle(self._fence))
        except TargetUnavailable as error:
            self._again(lane, batch, error)

    def _again(self, lane: Lane, batch: Batch, error: TargetUnavailable) -> None:
        """Sends a batch of unknown outcome again: whole documents, and still our fence."""
        wait = pauses(self._tries)
        while not isinstance(error, Restarted) and wait.again():
            lane.wire.drop()
            try:
                lane.arm(self._fence, self._found)
                lane.send(batch, self._refresh, self._found)
                self.failed.extend(lane.settle(self._fence))
                return
            except FenceLost:
                raise
            except TargetUnavailable as again:
                error = again
        raise error
