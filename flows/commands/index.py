"""Commands about the search index: index create, info, rebuild, drop; and search."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from core.errors import ConfigError
from core.plan import Plan
from core.settings import load_settings
from flows import opening
from flows.commands.masking import masked
from flows.commands.options import CONFIG, JSON, exits
from store import index as search_index
from store.client import Client, Timeouts, client_of
from store.index_schema import IndexSchema
from store.index_state import IndexState, state_of
from store.keys import Keys
from store.search import search as search_profiles

_STEPS = 1000
_FAILURES = click.option(
    "--accept-failures",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Use it though up to N profiles can't be indexed.",
)


@click.group()
def index() -> None:
    """The search index: what it holds, and making it anew. A nightly run looks after it, too."""


@index.command()
@CONFIG
@_FAILURES
@JSON
@exits
def create(config: Path, accept_failures: int, as_json: bool) -> None:
    """Makes the index where there is none."""
    _make(search_index.create, config, accept_failures, as_json)


@index.command()
@CONFIG
@_FAILURES
@JSON
@exits
def rebuild(config: Path, accept_failures: int, as_json: bool) -> None:
    """Makes the index anew beside the old one, and switches when it is complete."""
    _make(search_index.rebuild, config, accept_failures, as_json)


@index.command()
@CONFIG
@JSON
@exits
def info(config: Path, as_json: bool) -> None:
    """Tells how many profiles are indexed, and what could not be."""
    with _at(config) as (plan, client):
        _tell(state_of(client, _of(plan)[1]), as_json)


@index.command()
@CONFIG
@click.confirmation_option(prompt="Nobody can log in by e-mail without it. Drop the index?")
@exits
def drop(config: Path) -> None:
    """Removes the index; the profiles stay."""
    with _at(config) as (plan, client):
        names = search_index.drop(client, *_of(plan))
    click.echo(f"dropped: {', '.join(names)}" if names else "there was none")


@click.command()
@CONFIG
@click.argument("query")
@click.option("--limit", type=click.IntRange(min=1, max=1000), default=10, help="How many; 10.")
@JSON
@exits
def search(config: Path, query: str, limit: int, as_json: bool) -> None:
    """Finds profiles, as in '@city:{Springfield} @spend:[100 +inf]'; personal fields masked."""
    with _at(config) as (plan, client):
        hits = search_profiles(client, plan.pipeline.reading, query, limit)
    shown = [masked(document, plan) for document in hits.documents]
    if as_json:
        click.echo(json.dumps({"total": hits.total, "profiles": shown}, ensure_ascii=False))
        return
    for document in shown:
        click.echo(json.dumps(document, ensure_ascii=False))
    more = f", the first {len(shown)} shown" if len(shown) < hits.total else ""
    click.echo(f"{hits.total:,} found{more}", err=True)


def _make(
    how: Callable[..., IndexState], config: Path, accept_failures: int, as_json: bool
) -> None:
    with _at(config) as (plan, client), _bar(as_json) as tell:
        made = how(client, *_of(plan), accept_failures=accept_failures, listener=tell)
    _tell(made, as_json)


@contextmanager
def _at(config: Path) -> Iterator[tuple[Plan, Client]]:
    """The plan of a pipeline file with an index, and a client of its Redis."""
    plan, _ = opening.load_plan(config)
    if plan.pipeline.index is None:
        raise ConfigError(f"{config}: declares no `index`")
    settings = load_settings()
    timeouts = Timeouts(answer_s=settings.redis_timeout_s)
    with client_of(settings.redis_url.get_secret_value(), timeouts) as client:
        yield plan, client


def _of(plan: Plan) -> tuple[Keys, IndexSchema]:
    return Keys(plan.pipeline.profile), IndexSchema(plan.pipeline.reading)


@contextmanager
def _bar(as_json: bool) -> Iterator[search_index.Listener | None]:
    """A bar on stderr for people."""
    if as_json:
        yield None
        return
    with click.progressbar(length=_STEPS, label="indexing", file=sys.stderr) as bar:
        yield lambda share: bar.update(int(share * _STEPS) - bar.pos)


def _tell(state: IndexState, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(state), "missing": state.missing}, ensure_ascii=False))
        return
    definition = "as the pipeline file says" if state.current else "another than in the file"
    click.echo(f"{state.name} → {state.version}: {definition}")
    click.echo(f"{state.documents:,} of {state.profiles:,} profiles are indexed")
    if state.failures:
        fields = ", ".join(f"{name} {number:,}" for name, number in state.failed_fields.items())
        why = "; ".join(filter(None, (fields, state.last_failure)))
        click.echo(f"{state.failures:,} times a document could not be indexed: {why or 'unknown'}")
