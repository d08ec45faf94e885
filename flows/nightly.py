"""The nightly run: every user's profile, from all sources, checked.

Read ``_run`` from top to bottom: that is the order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture, wait
from prefect.task_runners import ThreadPoolTaskRunner

from core.errors import NotLoaded, PrefetchError, SourceConflict, SourceUnavailable
from core.records import SourceRead
from core.settings import Settings, load_settings
from flows import linking, opening
from flows.progress import Progress
from flows.report import Report
from flows.run_context import RunContext
from flows.steps import advance
from flows.tasks import check, extract, guard, link, load, open_snapshots, preflight
from stage.folder import open_stage
from store.client import Timeouts, client_of
from store.outcome import Checked
from store.runs import append

_GROUP_USERS = 200_000
"""Users in one task of the load: 10 to 30 seconds of work."""


def _run_name() -> str:
    started = runtime.flow_run.scheduled_start_time
    return f"nightly {started:%Y-%m-%d %H:%M}"


@flow(
    name="nightly",
    flow_run_name=_run_name,
    description="Reads all product lines, merges every user's profile and loads it into Redis.",
    validate_parameters=True,
    persist_result=False,
)
def nightly(config: Path) -> dict[str, Any]:
    """Loads every user's profile.

    Args:
        config: the pipeline file, as seen from the worker.

    Returns:
        The report as a dictionary (docs/report.md).

    Raises:
        PrefetchError: the run did not succeed; the error's ``report`` says how far it came.
    """
    settings = load_settings()
    report = Report(profile=config.stem, run=uuid4().hex)
    try:
        _run(config, settings, report)
    except BaseException as error:
        report.end(error)
        if isinstance(error, PrefetchError):
            error.report = report.as_dict()
        raise
    finally:
        _publish(report, settings)
    return report.as_dict()


def _run(config: Path, settings: Settings, report: Report) -> None:
    with _step(report, "preflight"):
        ready = preflight(config, settings)
    report.profile = ready.plan.pipeline.profile.name
    with ExitStack() as cleanup:
        with _step(report, "extract"):
            run = _extracted(ready, settings, report, cleanup)
        with _step(report, "link"):
            _linked(run, settings, report)
        with _step(report, "guard"):
            report.rows = guard(run, report.rows)
        groups = _groups(run)
        with _step(report, "load"):
            _loaded(run, groups, report)
        with _step(report, "check"):
            _checked(run, groups, report)
    report.end()


def _extracted(
    ready: opening.Ready, settings: Settings, report: Report, cleanup: ExitStack
) -> RunContext:
    """The run with all sources staged; a lost snapshot starts all of them again."""
    for attempt in range(1, settings.extract_attempts + 1):
        with ExitStack() as this_attempt:
            try:
                epoch, snapshots = open_snapshots(ready, settings)
                this_attempt.callback(snapshots.close)
                stage = this_attempt.enter_context(
                    open_stage(
                        settings.stage_dir,
                        f"{report.run}-{attempt}",
                        ready.plan.pipeline.profile.buckets,
                    )
                )
                report.epoch = epoch
                run = RunContext(
                    ready.plan,
                    ready.hooks,
                    settings,
                    ready.keys,
                    stage,
                    epoch,
                    ready.redis_run_id,
                )
                _read_sources(run, snapshots, report)
            except (SourceConflict, SourceUnavailable) as error:
                if attempt == settings.extract_attempts:
                    raise
                get_run_logger().warning("extraction %d starts again: %s", attempt, error)
                time.sleep(2**attempt)
                continue
            snapshots.close()
            cleanup.push(this_attempt.pop_all())
            return run
    raise AssertionError("the last attempt returns or raises")


def _read_sources(run: RunContext, snapshots: opening.Snapshots, report: Report) -> None:
    with _threads(run.settings.source_threads) as threads:
        futures = [
            threads.submit(extract, {"run": run, "source": name, "snapshots": snapshots})
            for name in snapshots.connectors
        ]
        for extracted in _results(futures):
            name = extracted.source
            report.rows.update(extracted.counts)
            report.sources[name] = SourceRead(
                extracted.rows,
                snapshots.as_of[name],
                snapshots.connectors[name].consistency,
                extracted.seconds,
            )


def _linked(run: RunContext, settings: Settings, report: Report) -> None:
    for name, ended in linking.load_lookups(run).items():
        report.rows[name] += ended
    linked = [entry.name for entry in run.plan.placed if entry.links]
    with _threads(settings.load_threads) as threads:
        futures = [threads.submit(link, {"run": run, "dataset": name}) for name in linked]
        for name, ended in zip(linked, _results(futures), strict=True):
            report.rows[name] += ended


def _groups(run: RunContext) -> list[tuple[int, int]]:
    """The first and last bucket of each group: one task's work, at least one a thread."""
    users = run.stage.reader("rows", run.plan.anchor.name).total_rows
    number = max(run.settings.load_threads, -(-users // _GROUP_USERS))
    number = min(number, run.buckets)
    bounds = [run.buckets * i // number for i in range(number + 1)]
    return [(first, last - 1) for first, last in pairwise(bounds)]


def _loaded(run: RunContext, groups: list[tuple[int, int]], report: Report) -> None:
    progress = Progress(run.buckets)
    with _threads(run.settings.load_threads) as threads:
        futures = [
            threads.submit(
                load,
                {"run": run, "group": group, "first": first, "last": last, "progress": progress},
            )
            for group, (first, last) in enumerate(groups)
        ]
        for counts, quarantined in _results(futures):
            report.loaded += counts
            report.written_quarantined += quarantined
    done = report.loaded
    report.users = done.created + done.updated + done.unchanged + done.superseded


def _checked(run: RunContext, groups: list[tuple[int, int]], report: Report) -> None:
    checked = Checked()
    with _threads(run.settings.load_threads) as threads:
        futures = [
            threads.submit(check, {"run": run, "group": group, "first": first, "last": last})
            for group, (first, last) in enumerate(groups)
        ]
        for part in _results(futures):
            checked += part
    report.checked, report.findings = checked.documents, dict(checked.findings)
    if checked.findings:
        raise NotLoaded(dict(checked.findings))


def _threads(number: int) -> ThreadPoolTaskRunner[Any]:
    return ThreadPoolTaskRunner(max_workers=number)


def _results(futures: Sequence[PrefectFuture[Any]]) -> list[Any]:
    """The results of all futures, once all are done: an error never leaves others at work."""
    wait(list(futures))
    return [future.result() for future in futures]


@contextmanager
def _step(report: Report, name: str) -> Iterator[None]:
    started = time.monotonic()
    advance(name)
    try:
        yield
    finally:
        report.steps[name] = time.monotonic() - started


def _publish(report: Report, settings: Settings) -> None:
    """Keeps the report in Redis and shows it in the UI; failing at that fails nothing else."""
    create_markdown_artifact(
        key=f"report-{report.profile.replace('_', '-')}",
        markdown=report.as_markdown(),
        description=f"{report.status}: {report.users:,} users",
    )
    try:
        timeouts = Timeouts(answer_s=settings.redis_timeout_s)
        with client_of(settings.redis_url.get_secret_value(), timeouts) as client:
            append(client, report.profile, report.as_dict(), settings.runs_kept)
    except PrefetchError as error:
        get_run_logger().warning("the report could not be kept: %s", error)
