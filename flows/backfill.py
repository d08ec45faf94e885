"""The backfill: the nightly run's way for some users; their whole documents are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, runtime

from core.acceptance import NOTHING, Acceptance
from core.errors import ConfigError
from core.selection import Selection
from flows.ending import ended
from flows.pipeline import carry_out
from flows.request import Request


def _run_name() -> str:
    given = runtime.flow_run.parameters
    planned = "plan " if given.get("dry_run") else ""
    selection = given.get("select")
    whom = Selection.model_validate(selection or {})
    return f"{planned}backfill {whom}"


@flow(
    name="backfill",
    flow_run_name=_run_name,
    description="Loads the profiles of some users again: named ones, or found by what they have.",
    validate_parameters=True,
    persist_result=False,
)
def backfill(
    config: Path,
    select: Selection,
    accept: Acceptance = NOTHING,
    dry_run: bool = False,
    show_diffs: int = 0,
) -> dict[str, Any]:
    """Loads some users' profiles.

    Args:
        config: The pipeline file, as seen from the worker.
        select: Which users: say it in one way.
        accept: What the guard finds and shall let pass this time, with who says so and why.
        dry_run: Only tell what would be written.
        show_diffs: With `dry_run`: of how many users to tell the changed fields, masked.

    Returns:
        The report as a dictionary (docs/report.md).

    Raises:
        PrefetchError: the run did not succeed; the error's ``report`` says how far it came.
    """
    if select.everyone:
        raise ConfigError("a backfill needs a selection; for everyone there is `prefetch run`")
    request = Request("backfill", config, select, accept, dry_run, show_diffs)
    return ended(lambda: carry_out(request))
