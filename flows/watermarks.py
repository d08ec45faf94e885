"""Watermarks: up to when each source's changes are in Redis, moved only by runs that succeed."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.errors import ConfigError
from core.plan import Plan
from flows.opening import Snapshots
from flows.run_context import RunContext
from store.client import client_of
from store.marks import read_watermarks, write_watermarks


def spans(run: RunContext, snapshots: Snapshots) -> dict[str, tuple[datetime, datetime]]:
    """By source with a cursor: from its watermark, less its lag, to its snapshot.

    Raises:
        ConfigError: no dataset has a cursor, or no complete run has set the watermarks.
        TargetError: Redis does not answer.
    """
    sources = sorted({e.source for e in run.plan.datasets.values() if e.dataset.cursor})
    if not sources:
        raise ConfigError("no dataset of the pipeline file has a `cursor`: incremental can't work")
    with client_of(run.redis_url, run.timeouts) as client:
        known = read_watermarks(client, run.keys)
    unknown = [name for name in sources if name not in known]
    if unknown:
        raise ConfigError(
            f"no complete run has read {', '.join(unknown)} yet: `prefetch run` goes first"
        )
    lags = {n: timedelta(seconds=s.lag_s) for n, s in run.plan.pipeline.sources.items()}
    return {name: (known[name] - lags[name], snapshots.as_of[name]) for name in sources}


def move(run: RunContext, as_of: dict[str, datetime]) -> None:
    """Moves the watermarks of some sources forward, after success.

    Raises:
        TargetError: Redis did not take it.
    """
    with client_of(run.redis_url, run.timeouts) as client:
        write_watermarks(client, run.keys, as_of)


def unseen(plan: Plan) -> list[str]:
    """What an incremental run of a pipeline can't see, in plain words."""
    blind = sorted(n for n, e in plan.datasets.items() if e.dataset.cursor is None)
    told = ["rows deleted in a source", "the former user of a link that moved"]
    if blind:
        told.append(f"changes in datasets without a cursor: {', '.join(blind)}")
    return told
