"""Commands that run a flow in this process: run, backfill, incremental, plan."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from core.acceptance import Acceptance
from core.errors import ConfigError
from core.selection import Selection
from flows.commands.options import (
    CONFIG,
    JSON,
    acceptance_options,
    diffs_option,
    dry_run_options,
    exits,
    selection_options,
    tell,
)
from flows.commands.terminal import watched
from flows.report import Report
from flows.request import Kind, Request


@click.command()
@CONFIG
@JSON
@dry_run_options
@exits
@acceptance_options
def run(config: Path, as_json: bool, accept: Acceptance, dry_run: bool, show_diffs: int) -> None:
    """Loads every user's profile now: the nightly flow, in this process."""
    in_this_process(
        "nightly", config, as_json, accept=accept, dry_run=dry_run, show_diffs=show_diffs
    )


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
    in_this_process(
        "backfill",
        config,
        as_json,
        select=select,
        accept=accept,
        dry_run=dry_run,
        show_diffs=show_diffs,
    )


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
    in_this_process(
        "incremental", config, as_json, accept=accept, dry_run=dry_run, show_diffs=show_diffs
    )


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
    given: dict[str, Any] = {"accept": accept, "dry_run": True, "show_diffs": show_diffs}
    if select.everyone:
        in_this_process("nightly", config, as_json, **given)
    else:
        in_this_process("backfill", config, as_json, select=select, **given)


def in_this_process(kind: Kind, config: Path, as_json: bool, **given: Any) -> None:
    """Runs a flow with these parameters, shows it meanwhile, and tells its report at the end."""
    # Nothing about a bank's runs leaves the house.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # The first start of a temporary server makes its database: 20 s, the default, are few for that.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    try:
        with watched(as_json):
            # Prefect takes seconds to import: only those who run a flow shall wait for it.
            refuse_silent_server()
            report = _run(kind, config, given)
    except Exception as error:
        report = getattr(error, "report", None) or _failed(kind, config, error)
        if as_json or report["sources"]:
            # People read the error on stderr.
            tell(report if as_json else {**report, "error": None}, as_json)
        raise
    tell(report, as_json)


def _run(kind: Kind, config: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Runs a flow with the tags that it has as a deployment, so that the UI finds all of a kind."""
    from prefect import tags

    flow = getattr(import_module(f"flows.{kind}"), kind)
    with tags("profiles", kind):
        report: dict[str, Any] = flow(config, **given)
    return report


def refuse_silent_server() -> None:
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
