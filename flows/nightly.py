"""The nightly run: every user's profile, from all sources, checked."""

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
    planned = "plan " if runtime.flow_run.parameters.get("dry_run") else ""
    return f"{planned}nightly {started:%Y-%m-%d %H:%M}"


@flow(
    name="nightly",
    flow_run_name=_run_name,
    description="Reads all product lines, merges every user's profile and loads it into Redis.",
    validate_parameters=True,
    persist_result=False,
)
def nightly(
    config: Path,
    accept: Acceptance = NOTHING,
    dry_run: bool = False,
    show_diffs: int = 0,
) -> dict[str, Any]:
    """Loads every user's profile.

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
    request = Request("nightly", config, acceptance=accept, dry_run=dry_run, diffs=show_diffs)
    return ended(lambda: carry_out(request))
