"""Verify: Redis against a fresh snapshot of the sources, and the repair of what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, runtime

from core.acceptance import Acceptance
from core.errors import Corrupt
from core.selection import Selection
from core.settings import Settings
from flows.ending import ended
from flows.groups import groups_of, of_groups, total
from flows.indexing import index_anew, not_indexed
from flows.pipeline import carry_out, staged, step
from flows.progress import Progress
from flows.report import Report
from flows.request import Request
from flows.run_context import RunContext
from flows.tasks import settle
from flows.tasks import verify as verify_group
from flows.verifying import Verified, behind_s


def _run_name() -> str:
    given = runtime.flow_run.parameters
    started = runtime.flow_run.scheduled_start_time
    sample = f"{given['sample']} users " if given.get("sample") else ""
    return f"verify {sample}{started:%Y-%m-%d %H:%M}"


@flow(
    name="verify",
    flow_run_name=_run_name,
    description="Compares every document in Redis with what the sources say now.",
    validate_parameters=True,
    persist_result=False,
)
def verify(config: Path, sample: int | None = None, repair: bool = False) -> dict[str, Any]:
    """Tells corrupt documents from those whose source has moved on.

    Args:
        config: The pipeline file, as seen from the worker.
        sample: Only so many users, drawn by chance.
        repair: Load all users again whose documents differ, and remove what is nobody's.

    Returns:
        The report as a dictionary (docs/report.md).

    Raises:
        Corrupt: documents are wrong, and were not to be repaired.
        PrefetchError: the comparison or the repair did not succeed.
    """

    def work(request: Request, settings: Settings, report: Report) -> None:
        run, verified = _compared(request, settings, report)
        if not repair:
            if report.findings:
                raise Corrupt(dict(report.findings))
            return
        if verified.corrupt or verified.behind:
            report.repair = _repaired(run, request, report, verified)
        if not_indexed(run):
            index_anew(run)

    request = Request("verify", config, dry_run=True, sample=sample)
    return ended(lambda: carry_out(request, work))


def _compared(request: Request, settings: Settings, report: Report) -> tuple[RunContext, Verified]:
    """What was found, and the run that found it; its stage is gone."""
    with staged(request, settings, report) as run:
        with step(report, "settle"):
            report.settled(settle(run, report.rows))
        with step(report, "verify"):
            verified = _verified(run)
        report.checked, report.findings = verified.documents, verified.findings
        if missing := not_indexed(run):
            report.findings = {**report.findings, "not_indexed": missing}
        report.behind = verified.moved_on
        report.behind_s = behind_s(run, {n: read.as_of for n, read in report.sources.items()})
    return run, verified


def _verified(run: RunContext) -> Verified:
    groups = groups_of(run)
    verified = Verified()
    for part in of_groups(run, verify_group, groups, progress=Progress(total(groups))):
        verified += part
    return verified


def _repaired(run: RunContext, request: Request, report: Report, verified: Verified) -> str:
    """Loads the users again; documents of nobody do not count against the guard's limit."""
    always = run.plan.pipeline.guard.max_removed
    users = tuple(sorted({*verified.corrupt, *verified.behind}))
    extra = sum("extra" in findings for findings in verified.corrupt.values())
    accept = Acceptance(removals=extra + always, by="verify", why="documents of nobody")
    made = carry_out(
        Request(
            "backfill",
            request.config,
            Selection(users=users),
            accept,
            rewrite=frozenset(users),
            parent=report.run,
        )
    )
    return str(made["run"])
