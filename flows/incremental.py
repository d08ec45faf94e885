"""The incremental run: a backfill of whoever changed since the last run that succeeded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, runtime

from core.acceptance import NOTHING, Acceptance
from flows.ending import ended
from flows.pipeline import carry_out
from flows.request import Request


def _run_name() -> str:
    started = runtime.flow_run.scheduled_start_time
    return f"incremental {started:%Y-%m-%d %H:%M}"


@flow(
    name="incremental",
    flow_run_name=_run_name,
    description="Loads the profiles of all users with rows that changed since the last run.",
    validate_parameters=True,
    persist_result=False,
)
def incremental(
    config: Path, accept: Acceptance = NOTHING, dry_run: bool = False, show_diffs: int = 0
) -> dict[str, Any]:
    """Loads the users whose rows changed, as the datasets' `cursor` columns tell.

    Rows deleted in a source, moved links and datasets without a cursor are the nightly run's.

    Args:
        config: The pipeline file, as seen from the worker.
        accept: What the guard finds and shall let pass this time, with who says so and why.
        dry_run: Only tell what would be written.
        show_diffs: With `dry_run`: of how many users to tell the changed fields, masked.

    Returns:
        The report as a dictionary (docs/report.md).

    Raises:
        PrefetchError: the run did not succeed; the error's ``report`` says how far it came.
    """
    request = Request("incremental", config, acceptance=accept, dry_run=dry_run, diffs=show_diffs)
    return ended(lambda: carry_out(request))
