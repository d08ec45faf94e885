"""What the commands share: their options, how they end, how they tell a report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click
from pydantic import ValidationError

from core.acceptance import Acceptance
from core.errors import ConfigError, PrefetchError, Unexpected
from core.selection import Selection
from flows.auditing import this_user

P = ParamSpec("P")
Decorator = Callable[[Callable[..., None]], Callable[..., None]]

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    envvar="PREFETCH_CONFIG",
    show_envvar=True,
    help="The pipeline file.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
BY = click.option("--by", help="Who asks for it; default: the user of this shell.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would be written.")
_DIFFS = click.option(
    "--show-diffs",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=10,
    default=0,
    metavar="[N]",
    help="With --dry-run: the changed fields of N users (10), masked.",
)


def exits(command: Callable[P, None]) -> Callable[P, None]:
    """Turns errors into a line on stderr and an exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PrefetchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            unexpected = Unexpected.of(error)
            click.echo(f"error: {unexpected}", err=True)
            sys.exit(unexpected.exit_code)

    return wrapped


def tell(report: dict[str, Any], as_json: bool) -> None:
    """Prints a report: as one line of JSON, or as tables."""
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    from flows.commands.tables import print_report

    print_report(report)


def dry_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``dry_run`` and ``show_diffs``."""
    return _DRY_RUN(_DIFFS(command))


def diffs_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``show_diffs``."""
    return _DIFFS(command)


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``select``: the users that the options name."""
    return _gathered(
        command,
        "select",
        _selection,
        click.option("--user", "users", multiple=True, help="A user id; may be repeated."),
        click.option(
            "--users-file", type=click.Path(path_type=Path), help="A file with a user id a line."
        ),
        click.option("--link", help="A link of the pipeline file, with --key."),
        click.option("--key", "link_keys", multiple=True, help="A key of the link; repeatable."),
        click.option("--bucket", "buckets", type=int, multiple=True, help="A whole bucket."),
        click.option("--source", help="All users that have rows in this source."),
        click.option("--changed-since", metavar="TIME", help="As in 2024-05-31T20:00:00Z."),
        click.option("--changed-until", metavar="TIME", help="With --changed-since: before then."),
    )


def acceptance_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``accept``: what the guard shall let pass."""
    return _gathered(
        command,
        "accept",
        _acceptance,
        click.option(
            "--accept-removals",
            "removals",
            type=click.IntRange(min=0),
            default=0,
            help="Let the run remove up to so many users.",
        ),
        click.option(
            "--accept",
            "guards",
            multiple=True,
            type=click.Choice(("rows", "quarantined", "changed")),
            help="Let pass what this guard finds.",
        ),
        click.option("--by", help="Who accepts it; default: the user of this shell."),
        click.option("--why", help="Why; kept in the report."),
    )


def _gathered(
    command: Callable[..., None],
    name: str,
    make: Callable[..., Any],
    *options: Callable[[Any], Any],
) -> Callable[..., None]:
    """A command whose options become one argument."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        fields = {option: kwargs.pop(option) for option in names}
        command(*args, **{name: make(**fields)}, **kwargs)

    before = len(getattr(wrapped, "__click_params__", []))
    for option in reversed(options):
        wrapped = option(wrapped)
    added: list[click.Parameter] = wrapped.__click_params__[before:]  # type: ignore[attr-defined]
    names = [str(parameter.name) for parameter in added]
    return wrapped


def _selection(**fields: Any) -> Selection:
    try:
        return Selection(**fields)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        raise ConfigError([_problem(problem) for problem in problems]) from None


def _problem(problem: Any) -> str:
    place = "".join(f"--{str(step).replace('_', '-')}: " for step in problem["loc"][:1])
    return place + str(problem["msg"]).removeprefix("Value error, ")


def _acceptance(**fields: Any) -> Acceptance:
    made = Acceptance(**fields)
    if made.anything and made.by is None:
        made = made.model_copy(update={"by": this_user()})
    return made
