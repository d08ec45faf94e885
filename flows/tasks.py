"""The tasks of the flows: thin, named for people, retried where a repetition is safe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect import get_run_logger

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
from flows.quiet_tasks import patient, quiet
from flows.request import Request
from flows.run_context import Replayed, RunContext
from store.index_state import IndexState
from store.outcome import Checked
from transforms.scope import Scope


@quiet("preflight: the file, the sources, Redis")
def preflight(config: Path, settings: Settings) -> opening.Ready:
    """The pipeline file, the sources' columns and Redis are fit."""
    ready = opening.make_ready(config, settings)
    if ready.note is not None:
        get_run_logger().warning("%s", ready.note)
    return ready


@quiet("open the snapshots of all sources")
def open_snapshots(
    ready: opening.Ready, settings: Settings, run: str, *, dry_run: bool
) -> tuple[int, opening.Snapshots]:
    """An epoch, and a snapshot of each source under it."""
    if dry_run:
        return opening.open_unnumbered(ready, settings)
    return opening.open_snapshots(ready, settings, run)


@quiet("select the users")
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


@quiet("extract {source}")
def extract(run: RunContext, source: str, snapshots: opening.Snapshots) -> extraction.Extracted:
    """Reads one source into the stage."""
    extracted = extraction.extract_source(run, source, snapshots.connectors[source])
    get_run_logger().info("%s: %d rows in %.1f s", source, extracted.rows, extracted.seconds)
    return extracted


@quiet("extract the rows of the selected users")
def extract_keyed(run: RunContext, snapshots: opening.Snapshots) -> dict[str, extraction.Extracted]:
    """Reads from all sources just the rows of the run's users into the stage."""
    return selected_rows.extract_selected(run, snapshots.connectors)


@quiet("link {dataset}")
def link(run: RunContext, dataset: str) -> RowCounts:
    """Leads a dataset's rows to their users."""
    return linking.link_dataset(run, run.plan.datasets[dataset])


@quiet("settle where rows and users end")
def settle(run: RunContext, extracted: Mapping[str, RowCounts]) -> settling.Settled:
    """Decides where every row ends, and finds the users to hold and to remove."""
    settled = settling.settle_all(run, extracted)
    held, leaving = settled.held.counts.total(), settled.leaving.users
    get_run_logger().info("%d users are held, %d would be removed", held, leaving)
    return settled


@quiet("guard: do the rows look right")
def guard(run: RunContext, settled: settling.Settled, request: Request) -> list[guards.Finding]:
    """Stops the run if what was settled looks wrong; gives what a person has accepted."""
    accept = request.acceptance
    accepted = guards.judge(
        run,
        settled.counts,
        settled.leaving,
        lambda marks: planning.changed_share(run, marks),
        accept,
    )
    if accepted and not request.dry_run:
        found, who = [finding.text for finding in accepted], accept.by or NOT_SAID
        detail = {"why": accept.why, "epoch": run.epoch, "found": found}
        line = record(run.settings, run.keys, "guards accepted", who, **detail)
        get_run_logger().info("%s", line)
    return accepted


@quiet("plan buckets {named}")
def plan(
    run: RunContext, group: int, buckets: list[int], named: str, diffs: int, progress: Progress
) -> planning.Planned:
    """Compares a group of buckets with Redis; writes nothing."""
    return planning.plan_buckets(run, buckets, diffs, lambda done: progress.tell(group, done))


@patient("load buckets {named}")
def load(
    run: RunContext, group: int, buckets: list[int], named: str, progress: Progress
) -> tuple[LoadCounts, Quarantine]:
    """Merges and writes a group of buckets."""
    counts, unwritten = loading.load_buckets(
        run, group, buckets, lambda done: progress.tell(group, done)
    )
    told = ("created", "updated", "unchanged", "superseded", "held")
    done = ", ".join(f"{getattr(counts, name)} {name}" for name in told)
    get_run_logger().info("buckets %s: %s", named, done)
    return counts, unwritten


@patient("check buckets {named}")
def check(run: RunContext, group: int, buckets: list[int], named: str) -> Checked:
    """Reads a group of buckets back."""
    return checking.check_buckets(run, group, buckets)


@patient("sweep the users who left")
def sweep(run: RunContext) -> leavers.Swept:
    """Removes the users whom the sources no longer know."""
    swept = leavers.sweep(run, run.pseudonym_key)
    get_run_logger().info("%d users removed, %d spared", swept.removed, swept.spared)
    return swept


@patient("index: every profile can be found")
def index(run: RunContext) -> IndexState:
    """Every profile can be found by the search index."""
    found = indexing.keep_index(run)
    get_run_logger().info("%s holds all of %d profiles", found.version, found.profiles)
    return found


@quiet("verify buckets {named}")
def verify(
    run: RunContext, group: int, buckets: list[int], named: str, progress: Progress
) -> verifying.Verified:
    """Compares a group of buckets with the sources."""
    return verifying.verify_buckets(run, buckets, lambda done: progress.tell(group, done))
