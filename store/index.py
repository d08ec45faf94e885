"""The search index: made beside the old one, checked, and switched to at once.

RediSearch leaves a document out of an index, whole and without an error, where one value does not
suit. So a new index is used only once it has as many documents as there are profiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import redis

from core.errors import TargetError, TargetUnavailable, TargetUnfit
from store.driver_errors import driver_errors
from store.index_errors import search_command
from store.index_schema import IndexSchema
from store.index_state import IndexState, in_use, info, state_of, text_of
from store.keys import Keys

WAIT_S = 3600.0
"""How long building may take."""

STALL_S = 60.0
"""How long it may take without indexing anything more."""

POLL_S = 0.2
LOCK_S = 30.0
BUSY = "somebody else is at work on the search index: try again later"
COUNT_AGAIN = 10
"""How often profiles and index are counted anew: with writers at work both move on."""


Listener = Callable[[float], None]
"""Gets the share (0 to 1) that is indexed."""


def ensure(
    client: redis.Redis, keys: Keys, schema: IndexSchema, listener: Listener | None = None
) -> IndexState:
    """Makes the index where there is none, anew where it is another; then counts.

    Raises:
        TargetUnfit: documents can't be indexed; the old index stays.
        TargetError: Redis can't do it.
    """
    version = in_use(client, schema)
    if version is None or not schema.is_current(version):
        return rebuild(client, keys, schema, listener=listener)
    return _settled(client, schema, schema.alias)


def create(
    client: redis.Redis,
    keys: Keys,
    schema: IndexSchema,
    *,
    accept_failures: int = 0,
    listener: Listener | None = None,
) -> IndexState:
    """Makes the index where there is none; tells about one that is there.

    Raises:
        TargetUnfit: there is one with another definition, or documents can't be indexed.
        TargetError: Redis can't do it.
    """
    version = in_use(client, schema)
    if version is None:
        return rebuild(client, keys, schema, accept_failures=accept_failures, listener=listener)
    if not schema.is_current(version):
        raise TargetUnfit(
            f"there is an index {schema.alias} that is not as the pipeline file says: "
            "`prefetch index rebuild` makes it anew"
        )
    return state_of(client, schema)


def rebuild(
    client: redis.Redis,
    keys: Keys,
    schema: IndexSchema,
    *,
    accept_failures: int = 0,
    wait_s: float = WAIT_S,
    listener: Listener | None = None,
) -> IndexState:
    """Makes the index anew beside the old one, and switches when it is complete.

    Args:
        accept_failures: so many documents may stay out of it.

    Raises:
        TargetUnfit: documents can't be indexed; the old index stays.
        TargetUnavailable: it took too long, or somebody else is at it.
        TargetError: Redis can't do it.
    """
    with _lock(client, keys) as keep:
        existing = _versions(client, schema)
        old = in_use(client, schema)
        for name in existing:
            if name != old:
                _drop_version(client, name)  # of somebody who gave up
        new = schema.next_version(existing)
        search_command(client, "FT.CREATE", new, *schema.definition)
        try:
            _wait(client, new, wait_s, keep, listener)
            built = _settled(client, schema, new)
            if built.missing > accept_failures:
                raise TargetUnfit(_unindexed(built))
            keep()
            search_command(client, "FT.ALIASUPDATE", schema.alias, new)
        except BaseException:
            with suppress(TargetError):
                _drop_version(client, new)
            raise
        if old is not None and schema.is_version(old):
            _drop_version(client, old)
        return built


def drop(client: redis.Redis, keys: Keys, schema: IndexSchema) -> list[str]:
    """Removes the index in all its versions, never a document; gives their names.

    Raises:
        TargetError: Redis can't do it.
    """
    with _lock(client, keys):
        names = _versions(client, schema)
        if in_use(client, schema) is not None:
            search_command(client, "FT.ALIASDEL", schema.alias)
        for name in names:
            _drop_version(client, name)
        return names


def _settled(client: redis.Redis, schema: IndexSchema, name: str) -> IndexState:
    """The state of an index, counted again while other writers blur the count."""
    for _ in range(COUNT_AGAIN):
        found = state_of(client, schema, name)
        if not found.missing or found.failures >= found.missing:
            break
        time.sleep(POLL_S)
    return found


def _wait(
    client: redis.Redis,
    name: str,
    wait_s: float,
    keep: Callable[[], None],
    listener: Listener | None,
) -> None:
    """Waits until an index has seen every document."""
    started = moved = time.monotonic()
    share = -1.0
    while True:
        keep()
        told = info(client, name)
        now = time.monotonic()
        reached = float(told["percent_indexed"])
        if reached > share:
            share, moved = reached, now
        if listener is not None:
            listener(min(1.0, share))
        if not int(told["indexing"]):
            return
        if now - started > wait_s or now - moved > STALL_S:
            raise TargetUnavailable(
                f"the new search index came to {share:.0%} only; the old one stays"
            )
        time.sleep(POLL_S)


def _unindexed(built: IndexState) -> str:
    fields = ", ".join(f"{name} ({number:,})" for name, number in built.failed_fields.items())
    why = "; ".join(filter(None, (fields, built.last_failure)))
    return (
        f"{built.missing:,} of {built.profiles:,} profiles can't be indexed"
        + (f" ({why})" if why else "")
        + "; the old index stays. Mend the field's type in the pipeline file, or leave them out "
        "with `prefetch index rebuild --accept-failures`"
    )


def _versions(client: redis.Redis, schema: IndexSchema) -> list[str]:
    names = [text_of(name) for name in search_command(client, "FT._LIST")]
    if schema.alias in names:
        raise TargetUnfit(
            f"there is an index named {schema.alias} that profile-prefetch has not made: "
            "give the index of the pipeline file another name, or drop that one"
        )
    return [name for name in names if schema.is_version(name)]


def _drop_version(client: redis.Redis, name: str) -> None:
    # Without DD, which would delete the documents.
    search_command(client, "FT.DROPINDEX", name)


@contextmanager
def _lock(client: redis.Redis, keys: Keys) -> Iterator[Callable[[], None]]:
    """One at a time; gives what tells that we are still at it."""
    token, ttl = uuid4().hex.encode(), int(LOCK_S * 1000)
    with driver_errors("SET"):
        if not client.set(keys.indexing, token, nx=True, px=ttl):
            raise TargetUnavailable(BUSY)

    def keep() -> None:
        with driver_errors("SET"):
            ours = client.get(keys.indexing) == token and client.set(
                keys.indexing, token, xx=True, px=ttl
            )
        if not ours:
            raise TargetUnavailable(BUSY)

    try:
        yield keep
    finally:
        with suppress(redis.RedisError, OSError):
            if client.get(keys.indexing) == token:
                client.delete(keys.indexing)
