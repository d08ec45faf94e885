"""The fence of a bucket: who may write it, checked by the server with every batch.

The fence key has no TTL and is watched by every batch of its holder; whether the holder still
works is told by another key, which has a TTL and is not watched.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from core.errors import FenceLost, TargetUnavailable, TargetUnfit
from store.backoff import pauses
from store.epoch import refuse_lost_counter
from store.keys import Keys
from store.wire import Restarted, Wire

ALIVE_S = 30.0
"""How long a writer that died keeps its bucket."""

WAIT_S = 120.0
POLL_S = 0.25
MARKS_AT_ONCE = 1000


@dataclass(frozen=True)
class Fence:
    """A bucket taken by one attempt of one run."""

    keys: Keys
    bucket: int
    epoch: int
    attempt: str
    alive_s: float = ALIVE_S

    @property
    def key(self) -> bytes:
        """The key to watch."""
        return self.keys.fence(self.bucket)

    @property
    def value(self) -> bytes:
        """What the key must hold while the bucket is ours."""
        return b"%d:%b" % (self.epoch, self.attempt.encode())

    @property
    def refresh(self) -> tuple[bytes | str | int, ...]:
        """The command that says for another while: the holder works."""
        ttl_ms = int(self.alive_s * 1000)
        return ("SET", self.keys.alive(self.bucket), self.value, "PX", ttl_ms)

    def lost(self, found: bytes | None) -> FenceLost:
        """The error to raise where the fence holds something else."""
        return FenceLost(f"bucket {self.bucket} was taken by {_holder(found)}: this writer stops")


def take(
    wire: Wire,
    keys: Keys,
    bucket: int,
    epoch: int,
    attempt: str,
    *,
    wait_s: float = WAIT_S,
    alive_s: float = ALIVE_S,
) -> Fence:
    """The bucket's fence, taken from nobody or from a holder that no longer works.

    Args:
        attempt: unique to this try (``uuid4().hex``): a stalled writer and its own retry differ.
        wait_s: how long to wait for a holder that works.

    Raises:
        FenceLost: a newer run has completed this bucket.
        TargetUnavailable: another writer held it all the time.
        TargetUnfit: the epoch counter is behind this run, or behind the bucket's floor: Redis has
            lost its data, or the counter alone.
    """
    fence = Fence(keys, bucket, epoch, attempt, alive_s)
    until, wait = time.monotonic() + wait_s, pauses()
    while True:
        try:
            holder = _try(wire, fence)
        except Restarted:
            raise
        except TargetUnavailable:
            wire.drop()  # after a damaged reply the next ones may be those of other questions
            if not wait.again():
                raise
            continue
        if holder == fence.value:
            return fence
        if time.monotonic() > until:
            raise TargetUnavailable(
                f"bucket {bucket} has been held by {_holder(holder)} for {wait_s:g} s"
            )
        time.sleep(random.uniform(POLL_S / 2, POLL_S))


def release(wire: Wire, fence: Fence, *, complete: bool) -> None:
    """Gives the bucket back; after a complete pass its floor rises to the fence's epoch.

    Raises:
        FenceLost: it was taken from us.
    """
    wait = pauses()
    while True:
        try:
            return _release(wire, fence, complete, unsure=wait.taken > 0)
        except Restarted:
            raise
        except TargetUnavailable:
            wire.drop()
            if not wait.again():
                raise


def confirm(wire: Wire, fence: Fence, replicas: int, wait_s: float) -> None:
    """Waits until replicas have everything that the primary had acknowledged so far.

    ``WAIT`` speaks of what its own connection wrote. So that goes with it: a write that changes
    nothing, and is later in the stream to the replicas than all that this pass has written.

    Raises:
        TargetUnfit: too few replicas have confirmed it in time.
    """
    wait = pauses()
    while True:
        try:
            _, confirmed = wire.ask_all(
                ("INCRBY", fence.keys.epoch, 0), ("WAIT", replicas, int(wait_s * 1000))
            )
            break
        except Restarted:
            raise
        except TargetUnavailable:
            if not wait.again():
                raise
    if confirmed < replicas:
        raise TargetUnfit(
            f"only {confirmed} of {replicas} replicas have confirmed bucket {fence.bucket} within "
            f"{wait_s:g} s (PREFETCH_WAIT_REPLICAS, PREFETCH_WAIT_TIMEOUT_S); what was written is "
            "whole: run again"
        )


def _try(wire: Wire, fence: Fence) -> bytes | None:
    """Takes the fence if it is free; says who holds it then."""
    keys, bucket = fence.keys, fence.bucket
    # The counter is watched, too: a server that is emptied does not touch a fence that nobody has.
    _, holder, alive, floor, counter = wire.ask_all(
        ("WATCH", fence.key, keys.epoch),
        ("GET", fence.key),
        ("GET", keys.alive(bucket)),
        ("GET", keys.floor(bucket)),
        ("GET", keys.epoch),
    )
    _refuse(fence, number_of(keys.floor(bucket), floor), number_of(keys.epoch, counter))
    if holder is not None and holder in (alive, fence.value):
        wire.ask("UNWATCH")
        return bytes(holder)
    taken = wire.ask_all(("MULTI",), ("SET", fence.key, fence.value), fence.refresh, ("EXEC",))
    return fence.value if taken[-1] is not None else None


def _release(wire: Wire, fence: Fence, complete: bool, unsure: bool) -> None:
    """Releases; ``unsure`` is whether that may have been done before, with the reply lost."""
    keys, bucket = fence.keys, fence.bucket
    _, marks, holder, found = wire.ask_all(
        ("WATCH", fence.key),
        ("HGETALL", keys.removed(bucket)),
        ("GET", fence.key),
        ("GET", keys.floor(bucket)),
    )
    floor = number_of(keys.floor(bucket), found)
    if holder != fence.value:
        wire.ask("UNWATCH")
        if unsure and holder is None and (floor == fence.epoch or not complete):
            return
        raise fence.lost(holder)
    commands: list[tuple[bytes | str | int, ...]] = [("MULTI",)]
    if complete and fence.epoch >= floor:
        commands.append(("SET", keys.floor(bucket), fence.epoch))
        old = [
            user
            for user, epoch in marks_of(keys.removed(bucket), marks).items()
            if epoch <= fence.epoch
        ]
        for start in range(0, len(old), MARKS_AT_ONCE):
            chunk = old[start : start + MARKS_AT_ONCE]
            commands.append(("HDEL", keys.removed(bucket), *chunk))
    commands += [("DEL", fence.key, keys.alive(bucket)), ("EXEC",)]
    if wire.ask_all(*commands)[-1] is None:
        raise fence.lost(wire.ask("GET", fence.key))


def marks_of(key: bytes, reply: list[bytes]) -> dict[bytes, int]:
    """Removal marks (user id in UTF-8 → epoch) from the reply to HGETALL.

    Raises:
        TargetUnavailable: they make no sense.
    """
    try:
        return dict(zip(reply[::2], map(int, reply[1::2]), strict=True))
    except (TypeError, ValueError):
        raise _damaged(key) from None


def number_of(key: bytes, reply: bytes | None) -> int:
    """The number that a key holds; 0 where there is no such key.

    Raises:
        TargetUnavailable: it is no number.
    """
    try:
        return int(reply or 0)
    except (TypeError, ValueError):
        raise _damaged(key) from None


def _damaged(key: bytes) -> TargetUnavailable:
    return TargetUnavailable(
        f"what Redis says of {key.decode()} is no number: it was damaged on its way, and another "
        "run succeeds; or it is stored so: set it to the present epoch, or restore Redis"
    )


def _refuse(fence: Fence, floor: int, counter: int) -> None:
    if counter < fence.epoch:
        raise TargetUnfit(
            f"the epoch counter ({counter}) is behind this run (epoch {fence.epoch}): Redis has "
            "lost its data since the run began; run again"
        )
    refuse_lost_counter(fence.keys, counter, floor)
    if floor > fence.epoch:
        raise FenceLost(
            f"bucket {fence.bucket}: a newer run (epoch {floor}) has completed it already, "
            f"this one (epoch {fence.epoch}) stops"
        )


def _holder(value: bytes | None) -> str:
    if value is None:
        return "a newer run that is through with it, or Redis may have lost its data"
    epoch = value.partition(b":")[0]
    return f"another writer (epoch {int(epoch) if epoch.isdigit() else 'unknown'})"
