"""Epochs: a higher one always means a later view of every source.

An epoch is drawn, and all snapshots are opened, under one lock. Its token is checked again after
the last snapshot is open: had the lock run out meanwhile, another run could have drawn a higher
epoch and opened earlier snapshots, so the number is thrown away and drawn again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import uuid4

import redis

from core.errors import TargetError, TargetUnavailable, TargetUnfit
from store.driver_errors import driver_errors
from store.keys import Keys

LOCK_S = 60.0
"""How long opening all snapshots may take."""

WAIT_S = 120.0
"""How long to wait for other runs that are opening theirs."""

TRIES = 3
POLL_S = 0.1


class Closable(Protocol):
    """What ``open_snapshots`` returns, an ``ExitStack`` for instance."""

    def close(self) -> object: ...


Snapshots = TypeVar("Snapshots", bound=Closable)


def draw_epoch(
    client: redis.Redis,
    keys: Keys,
    open_snapshots: Callable[[], Snapshots],
    *,
    lock_s: float = LOCK_S,
    wait_s: float = WAIT_S,
) -> tuple[int, Snapshots]:
    """A new epoch, and the snapshots that were opened under it.

    Raises:
        TargetUnavailable: another run holds the lock too long, or opening took longer than
            ``lock_s`` each time.
    """
    for _ in range(TRIES):
        token = _lock(client, keys, lock_s, wait_s)
        try:
            with driver_errors("INCR"):
                epoch = int(client.incr(keys.epoch))
            snapshots = open_snapshots()
            try:
                still_ours = _release(client, keys, token)
            except BaseException:
                snapshots.close()
                raise
        except BaseException:
            _release_quietly(client, keys, token)
            raise
        if still_ours:
            return epoch, snapshots
        snapshots.close()
    raise TargetUnavailable(
        f"opening the snapshots of all sources took longer than {lock_s:g} s, {TRIES} times"
    )


def next_epoch(client: redis.Redis, keys: Keys) -> int:
    """The epoch that would be drawn now; the counter stays as it is.

    Raises:
        TargetError: Redis does not answer.
    """
    with driver_errors("GET"):
        return int(client.get(keys.epoch) or 0) + 1


def check_counter(client: redis.Redis, keys: Keys, epoch_seen: int) -> None:
    """Compares the epoch counter with an epoch that a document carries.

    Raises:
        TargetUnfit: the document's is higher, so the counter was lost or set back.
    """
    with driver_errors("GET"):
        counter = int(client.get(keys.epoch) or 0)
    refuse_lost_counter(keys, counter, epoch_seen)


def refuse_lost_counter(keys: Keys, counter: int, epoch_seen: int) -> None:
    """Does nothing where the counter has reached the epoch.

    Raises:
        TargetUnfit: it has not, so it was lost or set back.
    """
    if epoch_seen > counter:
        raise TargetUnfit(
            f"Redis holds epoch {epoch_seen}, above the counter ({counter}), which was lost "
            f"or set back; repair it with SET {keys.epoch.decode()} {epoch_seen}, and run again"
        )


def _lock(client: redis.Redis, keys: Keys, lock_s: float, wait_s: float) -> bytes:
    token = uuid4().hex.encode()
    until = time.monotonic() + wait_s
    while True:
        with driver_errors("SET"):
            if client.set(keys.opening, token, nx=True, px=int(lock_s * 1000)):
                return token
        if time.monotonic() > until:
            raise TargetUnavailable(
                f"another run has been opening its snapshots for more than {wait_s:g} s"
            )
        time.sleep(random.uniform(POLL_S / 2, POLL_S))


def _release(client: redis.Redis, keys: Keys, token: bytes) -> bool:
    """Deletes the lock if it is still ours; says whether it was."""
    with driver_errors("EXEC"), client.pipeline() as pipe:
        pipe.watch(keys.opening)
        if pipe.get(keys.opening) != token:
            return False
        pipe.multi()
        pipe.delete(keys.opening)
        try:
            pipe.execute()
        except redis.WatchError:
            return False
        return True


def _release_quietly(client: redis.Redis, keys: Keys, token: bytes) -> None:
    try:
        _release(client, keys, token)
    except TargetError:
        pass  # the lock has a TTL
