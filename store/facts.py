"""What a Redis says of itself: compared from time to time, to notice a restart or a failover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from store.driver_errors import driver_errors


class Server(NamedTuple):
    """A server process, and the history of writes that it goes on with.

    What it has acknowledged is there as long as both stay the same. A restart changes the first,
    a replica that is promoted has another of both, and a primary that was a replica for a while
    has another history.
    """

    run_id: str | None
    replication_id: str | None


@dataclass(frozen=True)
class TargetFacts:
    """What a Redis said of itself at one moment.

    ``keys`` are those of the database in use. ``expired`` and ``evicted`` count since the
    process began.
    """

    server: Server
    primary: bool
    replicas: int
    policy: str
    keys: int
    expired: int
    evicted: int
    used_memory: int
    max_memory: int


def facts_of(client: redis.Redis) -> TargetFacts:
    """What a Redis says of itself now.

    Raises:
        TargetError: it does not answer.
    """
    with driver_errors("INFO"):
        info: dict[str, Any] = client.info("everything")
    database = client.connection_pool.connection_kwargs.get("db") or 0
    return TargetFacts(
        Server(info.get("run_id"), info.get("master_replid")),
        info.get("role") == "master",
        int(info.get("connected_slaves", 0)),
        str(info.get("maxmemory_policy")),
        int(info.get(f"db{database}", {}).get("keys", 0)),
        int(info.get("expired_keys", 0)),
        int(info.get("evicted_keys", 0)),
        int(info.get("used_memory", 0)),
        int(info.get("maxmemory", 0)),
    )


def told(info: bytes) -> tuple[Server, bool]:
    """The server, and whether it is a primary: from INFO's ``server`` and ``replication``."""
    lines = (line.partition(b":") for line in info.splitlines())
    known = {name: value.strip().decode(errors="replace") for name, _, value in lines if value}
    server = Server(known.get(b"run_id"), known.get(b"master_replid"))
    return server, known.get(b"role") == "master"
