"""The tasks of the flows: thin, named for people, retried where a repetition is safe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from core.errors import TargetUnavailable
from core.quarantine import Quarantine
from core.records import LoadCounts, RowCounts
from core.settings import Settings
from flows import (
    checking,
    extraction,
    guards,
    indexing,
    leavers,
    linking,
    loading,
    opening,
    planning,
    replaying,
    selected_rows,
    selecting,
    settling,
    verifying,
    watermarks,
)
from flows.auditing import NOT_SAID, record
from flows.progress import Progress
from flows.request import Request
from flows.run_context import Replayed, RunContext
from store.index_state import IndexState
from store.outcome import Checked
from transforms.scope import Scope


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except TargetUnavailable:
        return True
    except BaseException:  # whatever else it is, a repetition would not help
        return False
    return False


@task(task_run_name="preflight: the file, the sources, Redis", cache_policy=NO_CACHE)
def preflight(config: Path, settings: Settings) -> opening.Ready:
    """The pipeline file, the sources' columns and Redis are fit."""
    ready = opening.make_ready(config, settings)
    if ready.note is not None:
        get_run_logger().warning("%s", ready.note)
    return ready


@task(task_run_name="open the snapshots of all sources", cache_policy=NO_CACHE)
def open_snapshots(
    ready: opening.Ready, settings: Settings, *, dry_run: bool
) -> tuple[int, opening.Snapshots]:
    """An epoch, and a snapshot of each source under it."""
    if dry_run:
        return opening.open_unnumbered(ready, settings)
    return opening.open_snapshots(ready, settings)


@task(task_run_name="select the users", cache_policy=NO_CACHE)
def select(
    run: RunContext, request: Request, snapshots: opening.Snapshots
) -> tuple[Scope, Replayed | None]:
    """Finds the users that the run is about."""
    replayed = None
    if request.selection.quarantine is not None:
        users, replayed = replaying.users_again(
            run, request.selection.quarantine, snapshots.connectors
        )
        scope = Scope(users)
    elif request.kind == "incremental":
        scope = selecting.changed_scope(run, snapshots, watermarks.spans(run, snapshots))
    elif request.sample is not None:
        scope = selecting.sample_scope(run, request.sample, snapshots)
    else:
        scope = selecting.scope_of(run, request.selection, snapshots)
    if scope.users is not None:
        get_run_logger().info("%d users are selected", scope.users.height)
    return scope, replayed


@task(task_run_name="extract {source}", cache_policy=NO_CACHE)
def extract(run: RunContext, source: str, snapshots: opening.Snapshots) -> extraction.Extracted:
    """Reads one source into the stage."""
    extracted = extraction.extract_source(run, source, snapshots.connectors[source])
    get_run_logger().info("%s: %d rows in %.1f s", source, extracted.rows, extracted.seconds)
    return extracted


@task(task_run_name="extract the rows of the selected users", cache_policy=NO_CACHE)
def extract_keyed(run: RunContext, snapshots: opening.Snapshots) -> dict[str, extraction.Extracted]:
    """Reads from all sources just the rows of the run's users into the stage."""
    return selected_rows.extract_selected(run, snapshots.connectors)


@task(task_run_name="link {dataset}", cache_policy=NO_CACHE)
def link(run: RunContext, dataset: str) -> RowCounts:
    """Leads a dataset's rows to their users."""
    return linking.link_dataset(run, run.plan.datasets[dataset])


@task(task_run_name="settle where rows and users end", cache_policy=NO_CACHE)
def settle(run: RunContext, extracted: Mapping[str, RowCounts]) -> settling.Settled:
    """Decides where every row ends, and finds the users to hold and to remove."""
    settled = settling.settle_all(run, extracted)
    held, leaving = settled.held.counts.total(), settled.leaving.users
    get_run_logger().info("%d users are held, %d would be removed", held, leaving)
    return settled


@task(task_run_name="guard: do the rows look right", cache_policy=NO_CACHE)
def guard(run: RunContext, settled: settling.Settled, request: Request) -> list[guards.Finding]:
    """Stops the run if what was settled looks wrong; gives what a person has accepted."""
    share, accept = lambda: planning.changed_share(run), request.acceptance
    accepted = guards.judge(run, settled.counts, settled.leaving, share, accept)
    if accepted and not request.dry_run:
        found, who = [finding.text for finding in accepted], accept.by or NOT_SAID
        detail = {"why": accept.why, "epoch": run.epoch, "found": found}
        line = record(run.settings, run.keys, "guards accepted", who, **detail)
        get_run_logger().info("%s", line)
    return accepted


@task(task_run_name="plan buckets {named}", cache_policy=NO_CACHE)
def plan(
    run: RunContext, group: int, buckets: list[int], named: str, diffs: int, progress: Progress
) -> planning.Planned:
    """Compares a group of buckets with Redis; writes nothing."""
    return planning.plan_buckets(run, buckets, diffs, lambda done: progress.tell(group, done))


@task(
    task_run_name="load buckets {named}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def load(
    run: RunContext, group: int, buckets: list[int], named: str, progress: Progress
) -> tuple[LoadCounts, Quarantine]:
    """Merges and writes a group of buckets."""
    counts, unwritten = loading.load_buckets(
        run, group, buckets, lambda done: progress.tell(group, done)
    )
    get_run_logger().info("buckets %s: %s", named, counts)
    return counts, unwritten


@task(
    task_run_name="check buckets {named}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def check(run: RunContext, group: int, buckets: list[int], named: str) -> Checked:
    """Reads a group of buckets back."""
    return checking.check_buckets(run, group, buckets)


@task(
    task_run_name="sweep the users who left",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def sweep(run: RunContext) -> leavers.Swept:
    """Removes the users whom the sources no longer know."""
    swept = leavers.sweep(run, run.pseudonym_key)
    get_run_logger().info("%d users removed, %d spared", swept.removed, swept.spared)
    return swept


@task(
    task_run_name="index: every profile can be found",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_transient,
)
def index(run: RunContext) -> IndexState:
    """Every profile can be found by the search index."""
    found = indexing.keep_index(run)
    get_run_logger().info("%s holds all of %d profiles", found.version, found.profiles)
    return found


@task(task_run_name="verify buckets {named}", cache_policy=NO_CACHE)
def verify(
    run: RunContext, group: int, buckets: list[int], named: str, progress: Progress
) -> verifying.Verified:
    """Compares a group of buckets with the sources."""
    return verifying.verify_buckets(run, buckets, lambda done: progress.tell(group, done))
