"""The way of every run: nightly, backfill and incremental differ only in whom they are about.

Read ``staged`` and ``_run`` from top to bottom: that is the order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from prefect import get_run_logger

from core.errors import (
    NotLoaded,
    PrefetchError,
    SourceConflict,
    SourceDenied,
    SourceUnavailable,
)
from core.quarantine import Quarantine
from core.records import LoadCounts, SourceRead
from core.settings import Settings, load_settings
from flows import linking, opening, watermarks
from flows.checking import remove_strays
from flows.extraction import Extracted
from flows.groups import Group, groups_of, of_groups, total
from flows.lineage import tell_lineage
from flows.own_process import give_back, leave_nothing
from flows.planning import Planned
from flows.progress import Progress
from flows.publishing import publish
from flows.quarantine_files import folder_of
from flows.quarantining import quarantined
from flows.quiet_tasks import results, threads
from flows.repeating import look_for_leavers, until_lasting
from flows.report import Report
from flows.request import Request
from flows.run_context import RunContext, suppressed_users
from flows.selecting import check_selection
from flows.steps import advance
from flows.tasks import (
    check,
    extract,
    extract_keyed,
    guard,
    index,
    link,
    load,
    open_snapshots,
    plan,
    preflight,
    select,
    settle,
    sweep,
)
from stage.folder import open_stage
from store.continuity import Written
from store.outcome import Checked

Work = Callable[[Request, Settings, Report], None]


def carry_out(request: Request, work: Work | None = None) -> dict[str, Any]:
    """Does what a request asks for, and tells about it.

    Args:
        work: what to do; default: load the profiles.

    Returns:
        The report as a dictionary (docs/report.md).

    Raises:
        PrefetchError: the run did not succeed; the error's ``report`` says how far it came.
    """
    leave_nothing()
    settings = load_settings()
    report = Report(profile=request.config.stem, run=uuid4().hex, request=request)
    try:
        (work or _run)(request, settings, report)
        report.end()
    except BaseException as error:
        report.end(error)
        if isinstance(error, PrefetchError):
            error.report = report.as_dict()
        raise
    finally:
        publish(report, settings)
    return report.as_dict()


def _run(request: Request, settings: Settings, report: Report) -> None:
    with staged(request, settings, report) as run:
        with step(report, "guard"):
            settled = settle(run, report.rows)
            report.settled(settled)
            report.accepted = guard(run, settled, request)
        groups = groups_of(run)
        if request.dry_run:
            with step(report, "plan"):
                return _planned(run, groups, request.diffs, report)
        wrong = Checked()
        until_lasting(run, report, lambda now: _written(now, groups, report, wrong))
        tell_lineage(run.plan, report)
        if request.selection.everyone:
            watermarks.move(run, {name: read.as_of for name, read in report.sources.items()})


def _written(run: RunContext, groups: list[Group], report: Report, wrong: Checked) -> Written:
    """Writes and checks.

    Args:
        wrong: what the checks before found, and this one adds to: a digest that is right says
            "unchanged" of a document that is damaged.
    """
    if wrong.users:
        remove_strays(run, wrong.missing)
        run = replace(run, rewrite=run.rewrite | wrong.user_ids)
    with step(report, "load"):
        _loaded(run, groups, report)
    with step(report, "check"):
        _checked(run, groups, report, wrong)
    with step(report, "sweep"):
        look_for_leavers(run, report)
        swept = sweep(run)
        report.swept = swept.after(report.swept)
    if report.complete and run.plan.pipeline.index is not None:
        with step(report, "index"):
            report.indexed = index(run)
    still = report.checked - 2 * report.loaded.superseded
    return Written(report.loaded.created, swept.removed, still)


@contextmanager
def staged(request: Request, settings: Settings, report: Report) -> Iterator[RunContext]:
    """A run with all its rows read and led to their users; its stage is removed at the end.

    Raises:
        PrefetchError: something is not as it must be; nothing was written.
    """
    with step(report, "preflight"):
        ready = preflight(request.config, settings)
        check_selection(ready.plan, request.selection)
    report.of(ready.plan)
    with ExitStack() as cleanup:
        folder_of(settings)  # removes what has expired
        with step(report, "extract"):
            run = _extracted(request, ready, settings, report, cleanup)
        with step(report, "link"):
            _linked(run, report)
        with quarantined(run, report):
            yield run


def _extracted(
    request: Request,
    ready: opening.Ready,
    settings: Settings,
    report: Report,
    cleanup: ExitStack,
) -> RunContext:
    """The run with all its rows staged; a lost snapshot starts all of them again.

    A source that refuses the run is asked once more, if the secret has been changed meanwhile.
    """
    attempt = total_attempts = 0
    renewed = False
    while True:
        attempt += 1
        total_attempts += 1
        with ExitStack() as this_attempt:
            try:
                epoch, snapshots = open_snapshots(
                    ready, settings, report.run, dry_run=request.dry_run
                )
                this_attempt.callback(snapshots.close)
                name = f"{report.run}-{total_attempts}"
                buckets = ready.plan.pipeline.profile.buckets
                stage = this_attempt.enter_context(open_stage(settings.stage_dir, name, buckets))
                report.epoch = None if request.dry_run else epoch
                run = RunContext(
                    ready.plan,
                    ready.hooks,
                    settings,
                    ready.keys,
                    stage,
                    epoch,
                    report.run,
                    ready.facts,
                    stale=ready.stale,
                    rewrite=request.rewrite,
                )
                run = _scoped(run, request, snapshots)
                # Read only now: who was forgotten before this epoch was drawn must be on it.
                suppressed = suppressed_users(settings, ready.keys)
                run = replace(run, scope=replace(run.scope, suppressed=suppressed))
                _read(run, snapshots, report)
            except (SourceConflict, SourceUnavailable) as error:
                if attempt == settings.extract_attempts:
                    if request.kind == "verify" or not isinstance(error, SourceUnavailable):
                        raise
                    ready, attempt = opening.without_down(ready, error, settings), 0
                get_run_logger().warning("extraction %d starts again: %s", attempt, error)
                time.sleep(2**attempt)
                continue
            except SourceDenied as error:
                if renewed:
                    raise
                ready, renewed = opening.renewed(ready, error, request.config), True
                attempt -= 1
                get_run_logger().warning("extraction %d starts again: %s", attempt, error)
                continue
            snapshots.close()
            give_back()  # 110 MB of 540 that the load would come on top of
            cleanup.push(this_attempt.pop_all())
            report.carry(ready.stale)
            return run


def _scoped(run: RunContext, request: Request, snapshots: opening.Snapshots) -> RunContext:
    if request.kind != "incremental" and request.selection.everyone and request.sample is None:
        return run
    scope, replayed = select(run, request, snapshots)
    few = scope.users is not None and scope.users.height <= run.settings.keyed_users
    return replace(run, scope=scope, keyed=few, replayed=replayed)


def _read(run: RunContext, snapshots: opening.Snapshots, report: Report) -> None:
    if run.keyed:
        made: list[Extracted] = list(extract_keyed(run, snapshots).values())
    else:
        with threads(run.settings.source_threads, run.stopping) as pool:
            futures = [
                pool.submit(extract, run=run, source=name, snapshots=snapshots)
                for name in snapshots.connectors
            ]
            made = results(futures)
    for extracted in made:
        name = extracted.source
        report.rows.update(extracted.counts)
        report.sources[name] = SourceRead(
            extracted.rows,
            snapshots.as_of[name],
            snapshots.connectors[name].consistency,
            extracted.seconds,
        )


def _linked(run: RunContext, report: Report) -> None:
    for name, ended in linking.load_lookups(run).items():
        report.rows[name] += ended
    linked = [entry.name for entry in run.plan.placed if entry.links]
    with threads(run.settings.load_threads, run.stopping) as pool:
        futures = [pool.submit(link, run=run, dataset=name) for name in linked]
        for name, ended in zip(linked, results(futures), strict=True):
            report.rows[name] += ended


def _planned(run: RunContext, groups: list[Group], diffs: int, report: Report) -> None:
    planned = Planned()
    for part in of_groups(run, plan, groups, progress=Progress(total(groups)), diffs=diffs):
        planned.counts += part.counts
        planned.diffs += part.diffs
    report.loaded, report.diffs = planned.counts, planned.diffs[:diffs]


def _loaded(run: RunContext, groups: list[Group], report: Report) -> None:
    report.loaded, report.unwritten = LoadCounts(), Quarantine()
    for counts, unwritten in of_groups(run, load, groups, progress=Progress(total(groups))):
        report.loaded += counts
        report.unwritten += unwritten


def _checked(run: RunContext, groups: list[Group], report: Report, wrong: Checked) -> None:
    checked = Checked()
    for part in of_groups(run, check, groups):
        checked += part
    report.checked, report.findings = checked.documents, dict(checked.findings)
    if checked.findings:
        wrong.users.update(checked.users)
        wrong.missing.update(checked.missing)
        raise NotLoaded(dict(report.findings))


@contextmanager
def step(report: Report, name: str) -> Iterator[None]:
    """Times a step of a run, all its attempts together, and tells that it begins."""
    started = time.monotonic()
    advance(name)
    try:
        yield
    finally:
        report.steps[name] = report.steps.get(name, 0.0) + time.monotonic() - started
