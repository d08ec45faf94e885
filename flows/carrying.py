"""Carry forward: a run goes on without a source that is down, where the pipeline file lets it."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from core.carrying import without_source
from core.document import Stale
from core.errors import SourceUnavailable
from core.plan import Plan
from flows.run_context import RunContext
from store.client import client_of
from store.keys import Keys
from store.marks import read_watermarks
from store.sections import stored_sections
from transforms.columns import USER_ID


def without(
    plan: Plan, stale: Stale, error: SourceUnavailable, redis_url: str, keys: Keys
) -> tuple[Plan, Stale]:
    """The plan without the source that is down, and since when its values stand.

    Raises:
        SourceUnavailable: the pipeline file does not let the run go on without it, or no longer.
        TargetError: Redis does not answer.
    """
    source = plan.pipeline.sources[error.source]
    if source.on_failure != "carry_forward":
        raise error
    with client_of(redis_url) as client:
        seen = read_watermarks(client, keys).get(error.source)
    if seen is None:
        text = (
            f"{error.problem}; no complete run has read it yet, so nothing can be carried forward"
        )
        raise SourceUnavailable(error.source, text, error.dataset)
    age_s = (datetime.now(UTC) - seen).total_seconds()
    if age_s > source.max_age_s:
        text = f"{error.problem}; its last values are {age_s:.0f} s old, max_age_s is "
        raise SourceUnavailable(error.source, f"{text}{source.max_age_s:g}", error.dataset)
    since = seen.isoformat(timespec="seconds").replace("+00:00", "Z")
    marked = tuple(sorted({**dict(stale), error.source: since}.items()))
    return without_source(plan, error.source), marked


def carried_sections(run: RunContext, users: pl.Series) -> pl.DataFrame | None:
    """``USER_ID`` and the JSON text of each section that is carried forward, if any is.

    Raises:
        TargetError: Redis does not answer.
    """
    if not run.plan.carried:
        return None
    ids = users.cast(pl.String).to_list()
    with client_of(run.redis_url, run.timeouts) as client:
        found = stored_sections(client, run.keys, ids, list(run.plan.carried))
    texts = [pl.Series(name, values, dtype=pl.String) for name, values in found.items()]
    return pl.DataFrame([users.alias(USER_ID), *texts])
