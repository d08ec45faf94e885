"""Banks whose Redis may be killed, emptied or replaced while a run writes to it.

Runs reach the Redis through ``proxy``, which strikes at a byte of theirs; judge and reader through
``front``. Both lead to whoever is the primary. ``SmallBank`` holds runs of the store alone
(100 ms), ``WholeBank`` those of ``prefetch run``.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from core.errors import PrefetchError
from core.pipeline import Profile
from devstack import RedisServer
from store.client import Timeouts, client_of
from store.continuity import Continuity, Patience, Written
from store.epoch import draw_epoch
from store.facts import Server
from store.freshness import keep_view
from store.keys import Keys
from store.outcome import Checked
from store.preflight import preflight
from store.writer import Limits
from tests.faults.campaign import Ground
from tests.faults.judge import Judge
from tests.faults.model import History, World, world_of
from tests.faults.proxy import Proxy
from tests.faults.reader import Reader
from tests.faults.scene import Scene
from tests.faults.small_run import LOCK_S, attempt
from tests.faults.sources import NAME
from tests.faults.universe import Universe

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


class Bank:
    """What both kinds share: servers, proxies, the judge and the reader.

    Attributes:
        servers: the first one is the primary at first; a replica follows it.
    """

    universe: Universe
    history: History

    def __init__(self, ground: Ground, seed: int, servers: list[RedisServer]) -> None:
        self._ground, self._seed, self.servers = ground, seed, servers
        self.primary = servers[0]
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        for server in self.servers:
            self._cleanup.enter_context(server)
        self.proxy = self._cleanup.enter_context(Proxy(self.primary.port))
        self.front = self._cleanup.enter_context(Proxy(self.primary.port))
        self.judge = Judge(self.front.url, self.history)
        self.reader = self._cleanup.enter_context(Reader(self.front.url, self.history, self._seed))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        self._ground.add_reader(self.reader.figures)

    @property
    def world(self) -> World:
        """What Redis must hold after a run."""
        return self.history.newest

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

    def move(self, **shares: float) -> None:
        """Brings the next version."""
        raise NotImplementedError

    def run(self) -> Result:
        """A run of the present version."""
        raise NotImplementedError


class SmallBank(Bank):
    """Runs of the store alone: preflight, epoch, and what ``Continuity`` keeps."""

    def __init__(
        self, ground: Ground, seed: int, users: int, servers: list[RedisServer], buckets: int = 2
    ) -> None:
        super().__init__(ground, seed, servers)
        self.universe, self.history = Universe(seed, users), History()
        self.keys = Keys(Profile(name=NAME, anchor="core.client", buckets=buckets))
        self.limits = LIMITS
        self.url: str | None = None
        """Where runs go, if not through the proxy."""
        self._take_in()

    def move(self, **shares: float) -> None:
        """Brings the next version; see ``Universe.move``."""
        self.universe.move(**shares)
        self._take_in()

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

    def _take_in(self) -> None:
        self.history.add(world_of(self.universe.version, self.universe.tables()))


class WholeBank(Bank):
    """Runs of ``prefetch run`` on a scene of their own sources."""

    def __init__(
        self, ground: Ground, seed: int, users: int, servers: list[RedisServer], **environ: str
    ) -> None:
        super().__init__(ground, seed, servers)
        self._scene = Scene(ground, seed, users, buckets=4, reading=False)
        self._environ = environ
        self.universe, self.history = self._scene.universe, self._scene.history

    def move(self, **shares: float) -> None:
        """Brings the sources to the next version."""
        self._scene.move(**shares)

    def run(self) -> Result:
        """A run from its start to its end."""
        ended = self._scene.run(REDIS_URL=self.proxy.url, **self._environ)
        told: dict[str, Any] = ended.report
        error = str(told.get("error") or ended.errors[-300:])
        return Result(ended.success, told.get("repeated", []), "" if ended.success else error)
