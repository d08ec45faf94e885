"""The ``prefetch`` command: thin, over the flows and the store.

Exit codes: 0 success; 1 unexpected; 2 pipeline file, setting or argument; 3 source; 4 Redis;
5 stopped by the guard; 6 Redis differs from the stage after the load; 7 another run has the
bucket; 8 stage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from traceback import extract_tb
from typing import Any, ParamSpec
from uuid import uuid4

import click

from core.errors import ConfigError, PrefetchError
from core.pipeline import Pipeline
from core.settings import load_settings
from flows import opening
from flows.masking import masked
from flows.report import Report
from flows.request import Request
from flows.terminal import watched
from store.client import client_of
from store.keys import Keys
from transforms.resolve import resolved

P = ParamSpec("P")

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    envvar="PREFETCH_CONFIG",
    help="The pipeline file.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for machines.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-prefetch")
def main() -> None:
    """Prefetches unified customer profiles from product-line databases into Redis."""


def _exits(command: Callable[P, None]) -> Callable[P, None]:
    """Turns errors into a line on stderr and an exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PrefetchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            # Its own text may hold values of rows.
            place = extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            click.echo(f"error: unexpected {type(error).__name__} at {where}", err=True)
            sys.exit(1)

    return wrapped


@main.command()
@_CONFIG
@click.option("--offline", is_flag=True, help="Judge the file alone; ask no source.")
@_JSON
@_exits
def check(config: Path, offline: bool, as_json: bool) -> None:
    """Explains every mistake of a pipeline file, with its place."""
    try:
        plan, _ = opening.load_plan(config)
        if not offline:
            resolved(plan, opening.described(plan))
    except PrefetchError as error:
        if as_json:
            problems = list(getattr(error, "problems", [str(error)]))
            click.echo(json.dumps({"ok": False, "problems": problems}))
        raise
    sources, datasets = len(plan.pipeline.sources), len(plan.pipeline.datasets)
    if as_json:
        click.echo(json.dumps({"ok": True, "sources": sources, "datasets": datasets}))
    else:
        seen = "" if offline else ", and the sources have all of it"
        click.echo(f"{config}: {sources} sources, {datasets} datasets; no mistakes{seen}")


@main.command()
@_CONFIG
@_JSON
@_exits
def run(config: Path, as_json: bool) -> None:
    """Loads every user's profile now: the nightly flow, in this process."""
    # Nothing about a bank's runs leaves the house.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        with watched(as_json):
            # Prefect takes seconds to import: only those who run a flow shall wait for it.
            from flows.nightly import nightly

            _refuse_silent_server()
            report = nightly(config)
    except Exception as error:
        report = getattr(error, "report", None) or _failed(config, error)
        if as_json or report["sources"]:
            # People read the error on stderr.
            _tell(report if as_json else {**report, "error": None}, as_json)
        raise
    _tell(report, as_json)


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


def _failed(config: Path, error: Exception) -> dict[str, Any]:
    """The report of a run that ended before it had one."""
    report = Report(config.stem, uuid4().hex, Request("nightly", config))
    report.end(error)
    return report.as_dict()


@main.command()
@_CONFIG
@click.argument("user")
@click.option("--unmask", is_flag=True, help="Show personal fields; secrets are never shown.")
@_JSON
@_exits
def show(config: Path, user: str, unmask: bool, as_json: bool) -> None:
    """Shows one user's profile, personal fields masked."""
    from store.lookup import lookup

    plan, _ = opening.load_plan(config)
    with client_of(load_settings().redis_url.get_secret_value()) as client:
        document = lookup(client, Keys(plan.pipeline.profile), user)
    if document is None:
        raise PrefetchError("no such profile")
    shown = document if unmask else masked(document, plan)
    click.echo(json.dumps(shown, ensure_ascii=False, indent=None if as_json else 2))


@main.command()
@_CONFIG
@_JSON
@_exits
def status(config: Path, as_json: bool) -> None:
    """Tells how the last run went and how fresh each source's data is."""
    from store.runs import last

    plan, _ = opening.load_plan(config)
    pipeline: Pipeline = plan.pipeline
    with client_of(load_settings().redis_url.get_secret_value()) as client:
        reports = last(client, pipeline.profile.name, 1)
    if not reports:
        raise PrefetchError("no run of this profile is known to this Redis")
    _tell(reports[0], as_json)


def _tell(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    from flows.tables import print_report

    print_report(report)


if __name__ == "__main__":
    main()
