"""Preflight and opening: what must hold before a run may start, and its snapshots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connectors.base import Connector
from connectors.registry import connector
from core.document import Stale
from core.errors import SourceDenied, SourceUnavailable
from core.pipeline_file import load_pipeline
from core.plan import Plan, plan_of
from core.settings import Settings
from core.values import ColumnType
from flows.carrying import without
from flows.indexing import note_on_index
from flows.run_context import load_hooks
from store import audit
from store.client import Timeouts, client_of
from store.epoch import draw_epoch, next_epoch
from store.facts import TargetFacts
from store.freshness import keep_view
from store.keys import Keys
from store.preflight import preflight
from transforms.normalise import Hook
from transforms.resolve import resolved


@dataclass(frozen=True)
class Ready:
    """A pipeline whose file, sources and Redis have been found fit."""

    plan: Plan
    hooks: Mapping[str, Hook]
    keys: Keys
    facts: TargetFacts
    stale: Stale = ()
    """Sources that are down and carried forward, with the time of their values."""
    note: str | None = None
    """What a person should know, though the run may go on."""


class Snapshots:
    """The open sources of a run; closes them all."""

    def __init__(self, plan: Plan) -> None:
        self.connectors: dict[str, Connector] = {}
        self.as_of: dict[str, datetime] = {}
        self._open = ExitStack()
        try:
            for name in plan.sources:
                opened = connector(name, plan.pipeline.sources[name])
                self._open.callback(opened.close)
                self.as_of[name] = opened.open()
                self.connectors[name] = opened
        except BaseException:
            self._open.close()
            raise

    def close(self) -> None:
        """Ends all snapshots."""
        self._open.close()


def load_plan(config: Path) -> tuple[Plan, dict[str, Hook]]:
    """The plan of a pipeline file, its types still open, and its hooks.

    Raises:
        ConfigError: with every mistake of the file.
    """
    plan = plan_of(load_pipeline(config, os.environ))
    for name, source in plan.pipeline.sources.items():
        connector(name, source)
    return plan, load_hooks(plan, config.resolve().parent)


def make_ready(config: Path, settings: Settings) -> Ready:
    """Checks the file, every source's columns and grants, and Redis; writes no profile.

    Raises:
        ConfigError, SourceError, TargetError: whatever is not as it must be.
    """
    plan, hooks = load_plan(config)
    keys = Keys(plan.pipeline.profile)
    client = client_of(
        settings.redis_url.get_secret_value(), Timeouts(answer_s=settings.redis_timeout_s)
    )
    with client:
        facts = preflight(client, keys, replicas=settings.wait_replicas)
        note = note_on_index(client, plan.pipeline)
    ready = Ready(plan, hooks, keys, facts, note=note)
    while True:
        try:
            return replace(ready, plan=resolved(ready.plan, described(ready.plan)))
        except SourceUnavailable as error:
            ready = without_down(ready, error, settings)


def without_down(ready: Ready, error: SourceUnavailable, settings: Settings) -> Ready:
    """The same without a source that is down, where it may be carried forward.

    Raises:
        SourceUnavailable: it may not.
    """
    url = settings.redis_url.get_secret_value()
    plan, stale = without(ready.plan, ready.stale, error, url, ready.keys)
    return replace(ready, plan=plan, stale=stale)


def renewed(ready: Ready, error: SourceDenied, config: Path) -> Ready:
    """The same with the secrets of the sources read anew.

    Raises:
        SourceDenied: that of the source which refused the run is still the same.
    """
    fresh = load_pipeline(config, os.environ).sources
    known = ready.plan.pipeline.sources
    if fresh[error.source].url == known[error.source].url:
        raise error
    now = {
        name: source.model_copy(update={"url": fresh[name].url}) for name, source in known.items()
    }
    pipeline = ready.plan.pipeline.model_copy(update={"sources": now})
    return replace(ready, plan=replace(ready.plan, pipeline=pipeline))


def described(plan: Plan) -> dict[str, Mapping[str, ColumnType]]:
    """The types of all datasets' columns, as their sources tell them.

    Raises:
        SourceError: a source is down, or lacks what the file names.
    """
    types: dict[str, Mapping[str, ColumnType]] = {}
    for name in plan.sources:
        opened = connector(name, plan.pipeline.sources[name])
        try:
            opened.open()
            for entry in plan.datasets.values():
                if entry.source == name:
                    types[entry.name] = opened.describe(entry.query)
        finally:
            opened.close()
    return types


def open_snapshots(ready: Ready, settings: Settings, run: str) -> tuple[int, Snapshots]:
    """A new epoch, and the snapshots of all sources opened under it.

    Args:
        run: the run's name, by which it knows later that the epoch is still its own.

    Raises:
        SourceError, TargetError: where that fails.
    """
    client = client_of(
        settings.redis_url.get_secret_value(), Timeouts(answer_s=settings.redis_timeout_s)
    )
    with client:
        epoch, snapshots = draw_epoch(client, ready.keys, lambda: Snapshots(ready.plan))
        try:
            keep_view(client, ready.keys, epoch, min(snapshots.as_of.values()), run)
            audit.trim(client, ready.keys)
        except BaseException:
            snapshots.close()
            raise
        return epoch, snapshots


def open_unnumbered(ready: Ready, settings: Settings) -> tuple[int, Snapshots]:
    """The epoch that a run would get now, and snapshots for one that writes nothing.

    Raises:
        SourceError, TargetError: where that fails.
    """
    client = client_of(
        settings.redis_url.get_secret_value(), Timeouts(answer_s=settings.redis_timeout_s)
    )
    with client:
        return next_epoch(client, ready.keys), Snapshots(ready.plan)
