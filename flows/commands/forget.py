"""The commands of the right to erasure, and of the audit."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from core.pseudonym import pseudonym
from core.settings import load_settings
from flows import opening
from flows.auditing import as_text, record, this_user
from flows.commands.options import BY, CONFIG, JSON, exits
from flows.forgetting import forget as forget_user
from flows.forgetting import lift_him, user_of
from flows.run_context import hash_key, timeouts_of
from store.audit import lines
from store.client import client_of
from store.keys import Keys


@click.command()
@CONFIG
@click.argument("user")
@click.option("--undo", is_flag=True, help="Let runs load the user again.")
@BY
@click.option("--why", help="Why; kept in the audit.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="Seconds to wait for runs that may have rows of the user on disk.",
)
@JSON
@exits
def forget(
    config: Path,
    user: str,
    undo: bool,
    by: str | None,
    why: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Removes a user for good: documents, rows in quarantine; no run brings him back."""
    plan, _ = opening.load_plan(config)
    settings, keys = load_settings(), Keys(plan.pipeline.profile)
    user = user_of(plan, user)
    hashed = pseudonym(hash_key(settings, keys), user)
    what = "forget --undo" if undo else "forget"
    who = by or this_user()
    click.echo(record(settings, keys, what, who, user=hashed, why=why), err=True)
    if undo:
        lift_him(plan, settings, user)
        click.echo(json.dumps({"user": hashed, "forgotten": False}) if as_json else _LIFTED)
        return
    done = forget_user(plan, settings, user, wait_s)
    if as_json:
        click.echo(json.dumps({"user": hashed, "forgotten": True, **asdict(done)}))
    else:
        click.echo(
            f"forgotten (epoch {done.epoch}): {done.profiles} profile removed, {done.quarantined} "
            f"rows taken out of quarantine, {done.stages} stages of dead runs purged; no run "
            "brings this user back"
        )


_LIFTED = "the next run that is about this user loads his profile again"


@click.command()
@CONFIG
@click.option("--number", "-n", type=click.IntRange(min=1), default=50, help="Of the last lines.")
@JSON
@exits
def audit(config: Path, number: int, as_json: bool) -> None:
    """Lists who unmasked, accepted or removed what; the newest first."""
    plan, _ = opening.load_plan(config)
    settings = load_settings()
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        found = lines(client, Keys(plan.pipeline.profile), number)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        for line in found:
            click.echo(as_text(line))
