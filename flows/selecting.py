"""Select: the users that a backfill is about, found in the sources where that is needed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from random import SystemRandom

import polars as pl

from core.errors import ConfigError
from core.plan import Plan
from core.selection import Selection
from flows.finder import Finder
from flows.opening import Snapshots
from flows.run_context import RunContext
from store.client import client_of
from store.scan import users_in_redis
from transforms.casts import cast_user_id
from transforms.columns import USER_ID
from transforms.scope import EVERYONE, Scope


def check_selection(plan: Plan, selection: Selection) -> None:
    """Does nothing where the selection names what the pipeline file has.

    Raises:
        ConfigError: it does not, or a user id is none.
    """
    pipeline = plan.pipeline
    if selection.link is not None and selection.link not in pipeline.links:
        known = ", ".join(sorted(pipeline.links)) or "none"
        raise ConfigError(f"selection: there is no link {selection.link!r}; there are: {known}")
    if selection.source is not None and selection.source not in pipeline.sources:
        known = ", ".join(sorted(pipeline.sources))
        raise ConfigError(f"selection: there is no source {selection.source!r}; there are: {known}")
    beyond = [bucket for bucket in selection.buckets if not 0 <= bucket < pipeline.profile.buckets]
    if beyond:
        raise ConfigError(
            f"selection: buckets go from 0 to {pipeline.profile.buckets - 1}, not {beyond[0]}"
        )
    if selection.changed_since is not None and not any(
        entry.dataset.cursor for entry in plan.datasets.values()
    ):
        raise ConfigError("selection: no dataset of the pipeline file has a `cursor`")


def scope_of(run: RunContext, selection: Selection, snapshots: Snapshots) -> Scope:
    """The users that are selected, asked for in the open sources where that is needed.

    Raises:
        ConfigError: a user id or key does not fit, or a file can't be read.
        SourceError: as the connector raises it.
    """
    if selection.everyone:
        return EVERYONE
    if selection.buckets:
        return Scope(buckets=frozenset(selection.buckets))
    finder = Finder(run, snapshots.connectors)
    if selection.users or selection.users_file is not None:
        ids = selection.users
        return Scope(_cast(run, ids if ids else _ids_in(selection.users_file)))
    if selection.link is not None:
        return Scope(finder.by_key(selection.link, selection.link_keys))
    if selection.source is not None:
        return Scope(finder.by_source(selection.source))
    assert selection.changed_since is not None
    until = selection.changed_until
    spans = {
        name: (selection.changed_since, until or as_of) for name, as_of in snapshots.as_of.items()
    }
    return Scope(finder.changed(spans))


def changed_scope(
    run: RunContext, snapshots: Snapshots, spans: Mapping[str, tuple[datetime, datetime]]
) -> Scope:
    """The users with rows that changed, by each source's span of time."""
    return Scope(Finder(run, snapshots.connectors).changed(spans))


def sample_scope(run: RunContext, number: int, snapshots: Snapshots) -> Scope:
    """Some users, drawn by chance from those in the sources and those in Redis."""
    anchor = run.plan.anchor
    finder = Finder(run, snapshots.connectors)
    ids = set(finder.by_source(anchor.source, [anchor])[USER_ID].cast(pl.String))
    with client_of(run.redis_url, run.timeouts) as client:
        for users in users_in_redis(client, run.keys):
            ids.update(users)
    drawn = SystemRandom().sample(sorted(ids), min(number, len(ids)))
    made = cast_user_id(
        pl.Series(USER_ID, drawn, dtype=pl.String), run.plan.pipeline.profile.user_id
    )
    return Scope(made.values.alias(USER_ID).drop_nulls().unique(maintain_order=True).to_frame())


def _ids_in(file: Path | None) -> tuple[str, ...]:
    assert file is not None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{file}: can't read the user ids: {reason}") from None
    return tuple(line for line in map(str.strip, lines) if line)


def _cast(run: RunContext, ids: tuple[str, ...]) -> pl.DataFrame:
    made = cast_user_id(pl.Series(USER_ID, ids, dtype=pl.String), run.plan.pipeline.profile.user_id)
    if made.reasons is not None and made.reasons.null_count() < len(ids):
        place = made.reasons.is_not_null().arg_max() or 0
        raise ConfigError(
            f"selection: user id number {place + 1} does not fit profile.user_id of the "
            f"pipeline file ({made.reasons[place]})"
        )
    return made.values.alias(USER_ID).drop_nulls().unique(maintain_order=True).to_frame()
