"""Commands that only look: check, show, status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from core.errors import PrefetchError
from core.pseudonym import pseudonym
from core.settings import load_settings
from flows import opening
from flows.auditing import record, this_user
from flows.commands.masking import masked
from flows.commands.options import BY, CONFIG, JSON, exits, tell
from flows.commands.tables import print_standing
from flows.run_context import hash_key
from flows.standing import standing
from store.client import client_of
from store.keys import Keys
from store.marks import read_watermarks
from store.runs import last
from transforms.resolve import resolved


@click.command()
@CONFIG
@click.option("--offline", is_flag=True, help="Judge the file alone; ask no source.")
@JSON
@exits
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


@click.command()
@CONFIG
@click.argument("user")
@click.option("--unmask", is_flag=True, help="Show personal fields; secrets are never shown.")
@BY
@JSON
@exits
def show(config: Path, user: str, unmask: bool, by: str | None, as_json: bool) -> None:
    """Shows one user's profile, personal fields masked."""
    from store.lookup import lookup

    plan, _ = opening.load_plan(config)
    settings, keys = load_settings(), Keys(plan.pipeline.profile)
    if unmask:
        hashed = pseudonym(hash_key(settings, keys), user)
        who = by or this_user()
        click.echo(record(settings, keys, "show --unmask", who, user=hashed), err=True)
    with client_of(settings.redis_url.get_secret_value()) as client:
        document = lookup(client, keys, user)
    if document is None:
        raise PrefetchError("no such profile")
    shown = document if unmask else masked(document, plan)
    click.echo(json.dumps(shown, ensure_ascii=False, indent=None if as_json else 2))


@click.command()
@CONFIG
@JSON
@exits
def status(config: Path, as_json: bool) -> None:
    """Tells how the last run went, how fresh each source is now, and what waits for a person."""
    plan, _ = opening.load_plan(config)
    settings, keys = load_settings(), Keys(plan.pipeline.profile)
    with client_of(settings.redis_url.get_secret_value()) as client:
        reports = last(client, keys.name, settings.runs_kept)
        seen = read_watermarks(client, keys)
    if not reports:
        raise PrefetchError("no run of this profile is known to this Redis")
    now = standing(plan, reports, seen, datetime.now(UTC))
    if as_json:
        tell({**reports[0], "now": now}, as_json)
        return
    tell({**reports[0], "unseen": []}, as_json)
    print_standing(now)
