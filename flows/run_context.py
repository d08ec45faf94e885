"""A run: what its steps share. Made once by the flow, read by the tasks."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import polars as pl

from core.document import Stale
from core.errors import ConfigError, Stopped
from core.plan import Plan
from core.records import RowCounts
from core.settings import Settings
from stage.folder import Stage
from store.client import Timeouts, client_of
from store.facts import Server, TargetFacts
from store.keys import Keys
from store.marks import pseudonym_key
from store.suppression import read_suppressed
from store.writer import BATCH, INDEXED_BATCH, LANES, Limits
from transforms.columns import USER_ID
from transforms.normalise import Hook
from transforms.scope import EVERYONE, Scope, Suppressed
from transforms.slots import buckets_of


@dataclass
class Replayed:
    """Rows of a quarantine, read again.

    ``rows`` counts those that were in it by dataset. ``lost`` tells which still lead to no user;
    those that do lead to one are judged anew in the run. ``untold`` is of how many it is not
    known which they are.
    """

    run: str
    rows: Counter[str] = field(default_factory=Counter)
    lost: dict[str, RowCounts] = field(default_factory=dict)
    untold: int = 0


@dataclass
class RunContext:
    """One run of a pipeline.

    ``name`` is what no other run has. ``facts`` are those of preflight, and after a restart
    those of the server that answers now: what another one holds is not to be trusted. ``scope``
    is known before the first row is staged; where ``keyed``, only the rows of its users were
    read. ``stale`` are the sources carried forward, with the time of their values. ``rewrite``
    are users to write whatever their digest says. ``lookups`` are filled once the reference
    datasets are staged. ``replayed`` tells what became of the rows of a quarantine, where the
    run is about these. ``stopping`` is set when somebody cancels the run.
    """

    plan: Plan
    hooks: Mapping[str, Hook]
    settings: Settings
    keys: Keys
    stage: Stage
    epoch: int
    name: str
    facts: TargetFacts
    scope: Scope = EVERYONE
    keyed: bool = False
    stale: Stale = ()
    rewrite: frozenset[str] = frozenset()
    lookups: dict[str, pl.DataFrame] = field(default_factory=dict)
    replayed: Replayed | None = None
    stopping: Event = field(default_factory=Event)

    def go_on(self) -> None:
        """Does nothing while nobody has cancelled the run; asked between two pieces of work.

        Raises:
            Stopped: somebody has.
        """
        if self.stopping.is_set():
            raise Stopped

    @property
    def redis_url(self) -> str:
        """Where Redis is, with its password."""
        return self.settings.redis_url.get_secret_value()

    @property
    def server(self) -> Server:
        """The server that all connections must lead to."""
        return self.facts.server

    @property
    def timeouts(self) -> Timeouts:
        """How long to wait for Redis."""
        return timeouts_of(self.settings)

    @property
    def pseudonym_key(self) -> bytes:
        """The key of the keyed hashes that stand for users in reports.

        Raises:
            TargetError: it is kept in Redis, which does not answer.
        """
        return hash_key(self.settings, self.keys)

    @property
    def limits(self) -> Limits:
        """How much is written at once, and how long is waited for other writers."""
        return limits_of(self.settings, indexed=self.plan.pipeline.index is not None)

    @property
    def buckets(self) -> int:
        """The number of buckets."""
        return self.plan.pipeline.profile.buckets

    @property
    def scope_buckets(self) -> list[int]:
        """The buckets that the run is about, in order."""
        if self.scope.buckets is not None:
            return sorted(self.scope.buckets)
        if self.scope.users is None:
            return list(range(self.buckets))
        key = self.plan.pipeline.profile.key
        return sorted(set(buckets_of(self.scope.users[USER_ID], key, self.buckets)))

    def units(self, buckets: list[int]) -> list[list[int]]:
        """Runs of neighbouring buckets with about ``settings.unit_users`` users each."""
        anchor = self.stage.reader("rows", self.plan.anchor.name)
        units: list[list[int]] = []
        users = 0
        for bucket in buckets:
            rows = anchor.rows(bucket)
            if not units or (users and users + rows > self.settings.unit_users):
                units.append([])
                users = 0
            units[-1].append(bucket)
            users += rows
        return units


def timeouts_of(settings: Settings) -> Timeouts:
    """How long to wait for Redis."""
    return Timeouts(answer_s=settings.redis_timeout_s)


def limits_of(settings: Settings, *, indexed: bool) -> Limits:
    """How much is written at once, and how long is waited for other writers.

    A reader waits for every batch that lies in Redis before him. So the groups of buckets that are
    loaded side by side share ``LANES`` writing connections; each has at least one. And a batch is
    small where Redis has more to do for each document.
    """
    return Limits(
        batch_documents=settings.batch_documents or (INDEXED_BATCH if indexed else BATCH),
        lanes=max(1, LANES // settings.load_threads),
        fence_wait_s=settings.fence_wait_s,
        fence_alive_s=settings.fence_alive_s,
        replicas=settings.wait_replicas,
        replicas_wait_s=settings.wait_timeout_s,
    )


def hash_key(settings: Settings, keys: Keys) -> bytes:
    """The key of the keyed hashes: the one that is set, or else the one kept in Redis.

    Raises:
        TargetError: it is kept in Redis, which does not answer.
    """
    if settings.hash_key is not None:
        return settings.hash_key.get_secret_value().encode()
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        return pseudonym_key(client, keys)


def suppressed_users(settings: Settings, keys: Keys) -> Suppressed:
    """The users who were forgotten, as Redis knows them now.

    Raises:
        TargetUnfit: they can't be told under the key that is set.
        TargetError: Redis does not answer.
    """
    key = hash_key(settings, keys)
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        return Suppressed(key, read_suppressed(client, keys, key))


def load_hooks(plan: Plan, folder: Path) -> dict[str, Hook]:
    """The Python transforms of all datasets; modules beside the pipeline file are found first.

    Raises:
        ConfigError: naming every function that can't be loaded.
    """
    hooks: dict[str, Hook] = {}
    problems = []
    sys.path.insert(0, str(folder))
    try:
        for name, entry in plan.datasets.items():
            if entry.dataset.transform is None:
                continue
            module, _, function = entry.dataset.transform.function.partition(":")
            try:
                hooks[name] = getattr(importlib.import_module(module), function)
            except (ImportError, AttributeError, SyntaxError) as error:
                text = f"datasets → {name} → transform: can't load {module}:{function}: "
                problems.append(f"{text}{type(error).__name__}")
    finally:
        sys.path.remove(str(folder))
    if problems:
        raise ConfigError(problems)
    return hooks
