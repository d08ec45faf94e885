"""Puts a world in the place of what the product meets otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest import mock

import redis.connection

import store.backoff
import store.epoch
import store.fence
import store.writer
from tests.faults.interleaving.world import World


@contextmanager
def installed(world: World) -> Iterator[None]:
    """Has the product meet a world instead of sockets, sleep and chance; closes the world."""
    polling = SimpleNamespace(sleep=world.sleep, monotonic=lambda: 0.0)
    nap = SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: 0.0)
    patches = [
        (redis.connection.Connection, "_connect", lambda c: world.connect()),
        # Reading the driver's version from disk costs 3 ms a connection.
        (redis.connection, "resolve_driver_info", lambda *given: None),
        (redis.connection.Connection, "can_read", lambda c, timeout=0: False),
        (store.fence, "time", polling),
        (store.epoch, "time", polling),
        (store.backoff, "time", nap),
        (store.epoch, "uuid4", world.token),
        (store.epoch, "_lock", world.polls(store.epoch._lock)),
        (store.writer, "take", world.polls(store.writer.take)),
    ]
    with ExitStack() as cleanup:
        for place, name, new in patches:
            cleanup.enter_context(mock.patch.object(place, name, new))
        yield
    world.close()
