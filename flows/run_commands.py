"""Commands that run a flow in this process: run, backfill, incremental, plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from core.acceptance import Acceptance
from core.errors import ConfigError
from core.selection import Selection
from flows.command_options import (
    CONFIG,
    JSON,
    acceptance_options,
    diffs_option,
    dry_run_options,
    exits,
    selection_options,
    tell,
)
from flows.report import Report
from flows.request import Kind, Request
from flows.terminal import watched


@click.command()
@CONFIG
@JSON
@dry_run_options
@exits
@acceptance_options
def run(config: Path, as_json: bool, accept: Acceptance, dry_run: bool, show_diffs: int) -> None:
    """Loads every user's profile now: the nightly flow, in this process."""

    def start() -> dict[str, Any]:
        from flows.nightly import nightly

        report: dict[str, Any] = nightly(config, accept, dry_run, show_diffs)
        return report

    in_this_process(start, "nightly", config, as_json)


@click.command()
@CONFIG
@JSON
@dry_run_options
@exits
@acceptance_options
@selection_options
def backfill(
    config: Path,
    as_json: bool,
    select: Selection,
    accept: Acceptance,
    dry_run: bool,
    show_diffs: int,
) -> None:
    """Loads the profiles of some users again; whole documents are written."""

    def start() -> dict[str, Any]:
        from flows.backfill import backfill as flow

        report: dict[str, Any] = flow(config, select, accept, dry_run, show_diffs)
        return report

    in_this_process(start, "backfill", config, as_json)


@click.command()
@CONFIG
@JSON
@dry_run_options
@exits
@acceptance_options
def incremental(
    config: Path, as_json: bool, accept: Acceptance, dry_run: bool, show_diffs: int
) -> None:
    """Loads the users with rows that changed since the last run that succeeded."""

    def start() -> dict[str, Any]:
        from flows.incremental import incremental as flow

        report: dict[str, Any] = flow(config, accept, dry_run, show_diffs)
        return report

    in_this_process(start, "incremental", config, as_json)


@click.command()
@CONFIG
@JSON
@diffs_option
@exits
@acceptance_options
@selection_options
def plan(
    config: Path, as_json: bool, select: Selection, accept: Acceptance, show_diffs: int
) -> None:
    """Tells what a run (or a backfill, with a selection) would write; writes nothing."""

    def start() -> dict[str, Any]:
        from flows.backfill import backfill as some
        from flows.nightly import nightly as all_users

        report: dict[str, Any] = (
            all_users(config, accept, True, show_diffs)
            if select.everyone
            else some(config, select, accept, True, show_diffs)
        )
        return report

    in_this_process(start, "nightly" if select.everyone else "backfill", config, as_json)


def in_this_process(
    start: Callable[[], dict[str, Any]], kind: Kind, config: Path, as_json: bool
) -> None:
    """Runs a flow, shows it while it runs, and tells its report, whatever its end."""
    # Nothing about a bank's runs leaves the house.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        with watched(as_json):
            # Prefect takes seconds to import: only those who run a flow shall wait for it.
            _refuse_silent_server()
            report = _tagged(start, kind)
    except Exception as error:
        report = getattr(error, "report", None) or _failed(kind, config, error)
        if as_json or report["sources"]:
            # People read the error on stderr.
            tell(report if as_json else {**report, "error": None}, as_json)
        raise
    tell(report, as_json)


def _tagged(start: Callable[[], dict[str, Any]], kind: Kind) -> dict[str, Any]:
    """Runs a flow with the tags that it has as a deployment, so that the UI finds all of a kind."""
    from prefect import tags

    with tags("profiles", kind):
        return start()


def _refuse_silent_server() -> None:
    """Does nothing where no Prefect server is set, or it answers.

    Raises:
        ConfigError: it does not.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        raise ConfigError(
            "PREFECT_API_URL: no Prefect server answers there; start it, or unset the variable: "
            "a run needs none"
        )


def _failed(kind: Kind, config: Path, error: Exception) -> dict[str, Any]:
    """The report of a run that ended before it had one."""
    report = Report(config.stem, uuid4().hex, Request(kind, config))
    report.end(error)
    return report.as_dict()
