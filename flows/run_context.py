"""A run: what its steps share. Made once by the flow, read by the tasks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from core.errors import ConfigError
from core.plan import Plan
from core.settings import Settings
from stage.folder import Stage
from store.client import Timeouts
from store.keys import Keys
from transforms.normalise import Hook
from transforms.scope import EVERYONE, Scope


@dataclass
class RunContext:
    """One run of a pipeline.

    ``redis_run_id`` is the server process that preflight met: what another one holds is not to be
    trusted. ``scope`` is known before the first row is staged; ``lookups`` are filled once the
    reference datasets are.
    """

    plan: Plan
    hooks: Mapping[str, Hook]
    settings: Settings
    keys: Keys
    stage: Stage
    epoch: int
    redis_run_id: str | None = None
    scope: Scope = EVERYONE
    lookups: dict[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        """Where Redis is, with its password."""
        return self.settings.redis_url.get_secret_value()

    @property
    def timeouts(self) -> Timeouts:
        """How long to wait for Redis."""
        return Timeouts(answer_s=self.settings.redis_timeout_s)

    @property
    def buckets(self) -> int:
        """The number of buckets."""
        return self.plan.pipeline.profile.buckets

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
