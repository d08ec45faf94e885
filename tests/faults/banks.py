"""Banks whose Redis may be killed, emptied or replaced while a run writes to it.

Runs reach the Redis through ``proxy``, which strikes at a byte of theirs; judge and reader through
``front``. Both lead to whoever is the primary. ``SmallBank`` holds runs of the store alone
(100 ms), ``WholeBank`` those of ``prefetch run``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from uuid import uuid4

from core.errors import PrefetchError
from devstack import RedisServer
from store.client import Timeouts, client_of
from store.continuity import Continuity, Patience, Written
from store.epoch import draw_epoch
from store.facts import Server
from store.freshness import keep_view
from store.outcome import Checked
from store.preflight import preflight
from store.writer import Limits
from tests.faults.campaign import Ground
from tests.faults.model import History
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.faults.small_run import LOCK_S, attempt, keys_of
from tests.faults.universe import Universe
from tests.faults.watched import Watched

TIMEOUTS = Timeouts(connect_s=1.0, answer_s=3.0)
PATIENCE = Patience(attempts=3, away_s=20.0)
LIMITS = Limits(tries=3, fence_wait_s=5, fence_alive_s=0.4)
AOF = ("--appendonly", "yes", "--appendfsync", "everysec")


@dataclass
class Result:
    """How a run ended; ``reasons`` are why it was done again within."""

    success: bool
    reasons: list[str] = field(default_factory=list)
    error: str = ""


class Bank(Watched, ABC):
    """What both kinds share: servers, proxies, the judge and the reader.

    Attributes:
        servers: the first one is the primary at first; a replica follows it.
    """

    def __init__(
        self,
        ground: Ground,
        seed: int,
        universe: Universe,
        history: History,
        servers: list[RedisServer],
    ) -> None:
        super().__init__(ground, seed, universe, history)
        self.servers, self.primary = servers, servers[0]

    def __enter__(self) -> Self:
        for server in self.servers:
            self._cleanup.enter_context(server)
        self.proxy = self._cleanup.enter_context(Proxy(self.primary.port))
        self.front = self._cleanup.enter_context(Proxy(self.primary.port))
        self.watch(self.front.url)
        return self

    def lead_to(self, server: RedisServer) -> None:
        """Makes a server the one that everybody reaches."""
        self.primary = server
        self.proxy.lead_to(server.port)
        self.front.lead_to(server.port)

    def size_of_a_run(self) -> int:
        """Bytes of the requests of a usual run."""
        before = self.proxy.passed["request"]
        assert self.run().success
        return self.proxy.passed["request"] - before

    @abstractmethod
    def run(self) -> Result:
        """A run of the present version."""


class SmallBank(Bank):
    """Runs of the store alone: preflight, epoch, and what ``Continuity`` keeps."""

    def __init__(
        self, ground: Ground, seed: int, users: int, servers: list[RedisServer], buckets: int = 2
    ) -> None:
        super().__init__(ground, seed, Universe(seed, users), History(), servers)
        self.keys = keys_of(buckets)
        self.limits = LIMITS
        self.url: str | None = None
        """Where runs go, if not through the proxy."""
        self.put()

    def run(self) -> Result:
        """A run of the present version."""
        reasons: list[str] = []
        try:
            self._keep(self.url or self.proxy.url, reasons)
        except PrefetchError as error:
            return Result(False, reasons, f"{type(error).__name__}: {error}")
        return Result(True, reasons)

    def _keep(self, url: str, reasons: list[str]) -> None:
        name = uuid4().hex
        with client_of(url, TIMEOUTS) as client:
            facts = preflight(client, self.keys, replicas=self.limits.replicas)
            epoch, _ = draw_epoch(client, self.keys, ExitStack, lock_s=LOCK_S)
            keep_view(client, self.keys, epoch, datetime.now(UTC), name)
        wrong = Checked()

        def work(server: Server) -> Written:
            attempt(url, self.keys, self.world, TIMEOUTS, epoch, wrong, server, self.limits)
            ever = self.history.everybody(self.history.worlds)
            return Written(removed=len(ever - set(self.world.users)))

        kept = Continuity(url, self.keys, epoch, name, facts, TIMEOUTS, PATIENCE)
        kept.keep(work, reasons.append)


class WholeBank(Bank):
    """Runs of ``prefetch run`` on a scene of their own sources."""

    def __init__(
        self, ground: Ground, seed: int, users: int, servers: list[RedisServer], **environ: str
    ) -> None:
        self._scene = Scene(ground, seed, users, buckets=4, reading=False)
        super().__init__(ground, seed, self._scene.universe, self._scene.history, servers)
        self._environ = environ

    def put(self) -> None:
        """Makes the universe's version the present one, in the sources too."""
        self._scene.put()

    def run(self) -> Result:
        """A run from its start to its end."""
        ended = self._scene.run(REDIS_URL=self.proxy.url, **self._environ)
        repeated: list[str] = ended.report.get("repeated", [])
        return Result(ended.success, repeated, "" if ended.success else ended.told)
