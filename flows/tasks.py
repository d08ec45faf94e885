"""The tasks of the flows: thin, named for people, retried where a repetition is safe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from core.errors import GuardStopped, TargetUnavailable
from core.records import LoadCounts, RowCounts
from core.settings import Settings
from flows import checking, extraction, guarding, linking, loading, opening
from flows.progress import Progress
from flows.run_context import RunContext
from store.outcome import Checked


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except TargetUnavailable:
        return True
    except BaseException:  # whatever else it is, a repetition would not help
        return False
    return False


@task(task_run_name="preflight", cache_policy=NO_CACHE)
def preflight(config: Path, settings: Settings) -> opening.Ready:
    """The pipeline file, the sources' columns and Redis are fit."""
    return opening.make_ready(config, settings)


@task(task_run_name="open the snapshots of all sources", cache_policy=NO_CACHE)
def open_snapshots(ready: opening.Ready, settings: Settings) -> tuple[int, opening.Snapshots]:
    """An epoch, and a snapshot of each source under it."""
    return opening.open_snapshots(ready, settings)


@task(task_run_name="extract {source}", cache_policy=NO_CACHE)
def extract(run: RunContext, source: str, snapshots: opening.Snapshots) -> extraction.Extracted:
    """Reads one source into the stage."""
    extracted = extraction.extract_source(run, source, snapshots.connectors[source])
    get_run_logger().info("%s: %d rows in %.1f s", source, extracted.rows, extracted.seconds)
    return extracted


@task(task_run_name="link {dataset}", cache_policy=NO_CACHE)
def link(run: RunContext, dataset: str) -> RowCounts:
    """Leads a dataset's rows to their users."""
    return linking.link_dataset(run, run.plan.datasets[dataset])


@task(task_run_name="guard", cache_policy=NO_CACHE)
def guard(run: RunContext, extracted: Mapping[str, RowCounts]) -> dict[str, RowCounts]:
    """Decides where every row ends, and stops the run if that looks wrong."""
    settled, held = guarding.settle_all(run)
    counts = {name: ended + settled.get(name, RowCounts()) for name, ended in extracted.items()}
    get_run_logger().info("%d users are held", held)
    if found := guarding.findings(run, counts):
        raise GuardStopped(found)
    return counts


@task(
    task_run_name="load buckets {first}-{last}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def load(
    run: RunContext, group: int, first: int, last: int, progress: Progress
) -> tuple[LoadCounts, Counter[str]]:
    """Merges and writes a group of buckets."""
    buckets = list(range(first, last + 1))
    counts, quarantined = loading.load_buckets(
        run, group, buckets, lambda done: progress.tell(group, done)
    )
    get_run_logger().info("buckets %d-%d: %s", first, last, counts)
    return counts, quarantined


@task(
    task_run_name="check buckets {first}-{last}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def check(run: RunContext, group: int, first: int, last: int) -> Checked:
    """Reads a group of buckets back."""
    return checking.check_buckets(run, group, list(range(first, last + 1)))
