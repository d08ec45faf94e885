"""Whether a Redis is fit to hold the profiles, found out before any is written."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

import orjson
import redis

from core.document import Meta, digest, meta_text, opened, parse_meta, sealed
from core.errors import TargetUnavailable, TargetUnfit
from store.driver_errors import driver_errors
from store.facts import TargetFacts, facts_of
from store.keys import Keys

_CANARY = {
    "z": [1, 1.5, 1e16, -0.0, 9007199254740992],
    "text": 'quote " backslash \\ line\n\u2028 \U0001f600',
    "a": {"empty": {}, "list": [], "null": None, "true": True},
}
"""Awkward on purpose: key order, numbers and texts must come back as they were."""


def preflight(
    client: redis.Redis, keys: Keys, needed_bytes: int | None = None, replicas: int = 0
) -> TargetFacts:
    """What a fit Redis says of itself; records the number of buckets at the first run.

    Args:
        needed_bytes: how much the documents will need, where that is known.
        replicas: how many must be connected.

    Raises:
        TargetUnfit: a replica, another eviction policy than ``noeviction``, no JSON, too little
            memory, or another number of buckets than before; the message says the way out.
        TargetUnavailable: it does not answer, or has too few replicas now.
        TargetDenied: it does not let us in.
    """
    facts = facts_of(client)
    if not facts.primary:
        raise TargetUnfit("this is a replica: point REDIS_URL at its primary")
    refuse_eviction(facts)
    if facts.replicas < replicas:
        raise TargetUnavailable(
            f"only {facts.replicas} of {replicas} replicas are connected (PREFETCH_WAIT_REPLICAS)"
        )
    used, most = facts.used_memory, facts.max_memory
    if most and used + (needed_bytes or 0) >= most:
        raise TargetUnfit(
            f"not enough memory: {used:,} bytes of maxmemory {most:,} are used, "
            f"{needed_bytes or 0:,} more are needed: raise maxmemory"
        )
    _try_json(client, keys)
    _same_buckets(client, keys)
    return facts


def refuse_eviction(facts: TargetFacts) -> None:
    """Does nothing where Redis keeps what it has acknowledged, or says that it can't.

    Raises:
        TargetUnfit: its policy is another than ``noeviction``.
    """
    if facts.policy != "noeviction":
        raise TargetUnfit(
            f"maxmemory-policy is {facts.policy}, so profiles could vanish without an error: "
            "set it to noeviction"
        )


def _try_json(client: redis.Redis, keys: Keys) -> None:
    """Writes, marks and reads a document just as a load does."""
    key, version = keys.canary(uuid4().hex), 1
    body = orjson.dumps(_CANARY)[:-1]
    meta = Meta(version, 0, digest(body, version))
    try:
        with driver_errors("JSON.SET"):
            client.execute_command("JSON.SET", key, "$", sealed(body, meta))
            client.execute_command("JSON.SET", key, "$._meta", meta_text(meta))
            whole = client.execute_command("JSON.GET", key)
            [marked] = client.execute_command("JSON.MGET", key, "$._meta")
    finally:
        with suppress(redis.RedisError):
            client.delete(key)
    found = opened(whole) if isinstance(whole, bytes) else None
    same = found is not None and found.sound and found.body == body
    if not same or not isinstance(marked, bytes) or parse_meta(marked[1:-1]) != meta:
        raise TargetUnfit(
            "its JSON module does not give back what it was given: use RedisJSON (Redis 8 or "
            "Redis Stack)"
        )


def _same_buckets(client: redis.Redis, keys: Keys) -> None:
    with driver_errors("SET"):
        client.set(keys.bucket_count, keys.buckets, nx=True)
        recorded = int(client.get(keys.bucket_count) or 0)
    if recorded != keys.buckets:
        raise TargetUnfit(
            f"the profiles were loaded in {recorded} buckets, the pipeline file says "
            f"{keys.buckets}: set profile.buckets to {recorded}, or load under another name"
        )
