"""Redis Sentinel for tests: a primary, replicas, and Sentinels that agree on who is the primary."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import redis

from devstack import RedisServer
from devstack.folders import write_private
from devstack.ports import HOST

SERVICE = "profiles"
DOWN_AFTER_MS = 300
AGREE_S = 30.0


@dataclass(eq=False, kw_only=True)
class SentinelServer(RedisServer):
    """One Sentinel that watches a primary.

    Attributes:
        watched: the port of the primary at its start.
        quorum: how many Sentinels must find the primary down.
        lines: more of its configuration file; ``after`` are those about the primary.
    """

    name: ClassVar[str] = "sentinel"

    watched: int = 0
    quorum: int = 1
    lines: Sequence[str] = ()
    after: Sequence[str] = ()

    def command(self) -> list[str]:
        program, file, *_ = super().command()
        return [program, file, "--sentinel"]

    def create_data(self) -> None:
        super().create_data()
        lines = [
            self._secrets.read_text(encoding="utf-8"),
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.data}",
            *self.lines,
            f"sentinel monitor {SERVICE} {HOST} {self.watched} {self.quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 2000",
            *self.after,
        ]
        write_private(self._secrets, "\n".join([*lines, ""]))


@dataclass
class Group:
    """A primary with replicas below some Sentinels."""

    servers: list[RedisServer]
    sentinels: list[SentinelServer]

    @property
    def url(self) -> str:
        """The address as an app has it; its first member is nobody."""
        members = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{HOST}:1,{members}/{SERVICE}/0"

    def primary(self) -> RedisServer:
        """The server that the Sentinels name as the primary now."""
        with redis.Redis(HOST, self.sentinels[0].port) as client:
            _, port = client.sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self.servers if server.port == port)

    def wait_until_complete(self) -> None:
        """Returns once every Sentinel knows the others and all replicas, and these are in step."""
        until = time.monotonic() + AGREE_S
        while not all(self._is_complete(sentinel) for sentinel in self.sentinels):
            assert time.monotonic() < until, "the Sentinels never agreed"
            time.sleep(0.05)

    def _is_complete(self, sentinel: SentinelServer) -> bool:
        living = sum(server.running for server in self.servers)
        with redis.Redis(HOST, sentinel.port) as client:
            state = client.sentinel_masters()[SERVICE]
            replicas = client.sentinel_slaves(SERVICE)
        linked = [r for r in replicas if r["master-link-status"] == "ok" and not r["is_sdown"]]
        others = int(state["num-other-sentinels"])
        return (
            others == len(self.sentinels) - 1
            and len(linked) == living - 1
            and state["flags"] == "master"
        )


@contextmanager
def group(
    folder: Path, replicas: int = 1, sentinels: int = 3, options: Sequence[str] = ()
) -> Iterator[Group]:
    """A group that is complete.

    Args:
        options: for each Redis.
    """
    with ExitStack() as running:
        primary = running.enter_context(RedisServer(folder / "redis-0", extra_args=options))
        servers = [primary]
        for number in range(replicas):
            replica = RedisServer(
                folder / f"redis-{number + 1}", replica_of=primary, extra_args=options
            )
            servers.append(running.enter_context(replica))
        quorum = sentinels // 2 + 1
        watching = [
            running.enter_context(
                SentinelServer(folder / f"sentinel-{n}", watched=primary.port, quorum=quorum)
            )
            for n in range(sentinels)
        ]
        made = Group(servers, watching)
        made.wait_until_complete()
        yield made
