"""Runs the transforms in memory: rows in, parsed profiles and counts out. One partition, no disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import polars as pl

from core.check import problems_of
from core.errors import ConfigError
from core.pipeline import Pipeline
from core.plan import Plan, plan_of
from core.records import ABSENT, BAD_COLUMN, RowCounts
from core.values import ColumnType
from transforms.columns import BUCKET
from transforms.link import follow
from transforms.lookup import lookup_table
from transforms.merge import bodies
from transforms.normalise import Hook, keyed, led_to_user, link_rows, normalise
from transforms.quarantine import quarantine
from transforms.resolve import empty_rows, resolved
from transforms.settle import settle

Row = Mapping[str, Any]

ANCHOR = {
    "user_id": "id",
    "into": "me",
    "primary_key": "id",
    "columns": {"id": "integer"},
    "min_rows": 0,
}
"""The usual anchor, ``s.user``, where a test names no other."""

USERS = [{"id": 1}, {"id": 2}]


@dataclass
class Merged:
    """What came of some rows."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    credentials: dict[str, bytes | None] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    counts: dict[str, RowCounts] = field(default_factory=dict)

    @property
    def profiles(self) -> dict[str, Any]:
        """The documents by user id, without the user id inside."""
        return {user: _parsed(body) for user, body in self.bodies.items()}

    @property
    def secrets(self) -> dict[str, Any]:
        """The credential documents of those who have one."""
        return {u: _parsed(text) for u, text in self.credentials.items() if text is not None}


def _parsed(body: bytes) -> Any:
    document = json.loads(body + b"}")
    document.pop("user_id")
    return document


def pipeline_for(**parts: Any) -> Pipeline:
    """The pipeline that a file with these parts describes; without links etc. where not given."""
    parts.setdefault("profile", {"anchor": "s.user"})
    parts["profile"] = {"name": "t", "user_id": {"type": "integer"}, **parts["profile"]}
    parts.setdefault("sources", {"s": {"kind": "mongodb", "url": "x"}})
    if parts["profile"]["anchor"] == "s.user":
        parts["datasets"] = {"s.user": ANCHOR, **parts["datasets"]}
    return Pipeline.model_validate(parts)


def problems_for(**parts: Any) -> list[str]:
    """What ``check`` says of such a pipeline: of its names, else of its types."""
    pipeline = pipeline_for(**parts)
    problems = [f"{' → '.join(map(str, p.location))}: {p.text}" for p in problems_of(pipeline)]
    if problems:
        return problems
    try:
        _resolved(plan_of(pipeline))
    except ConfigError as error:
        return list(error.problems)
    return []


def plan_for(**parts: Any) -> Plan:
    """The resolved plan of a pipeline whose datasets declare all their columns' types."""
    pipeline = pipeline_for(**parts)
    assert problems_of(pipeline) == []
    return _resolved(plan_of(pipeline))


def _resolved(plan: Plan) -> Plan:
    described: dict[str, dict[str, ColumnType]] = {
        name: {n: c.declared for n, c in entry.columns.items() if c.declared is not None}
        for name, entry in plan.datasets.items()
    }
    return resolved(plan, described)


def profiles(rows: Mapping[str, Sequence[Row]], **parts: Any) -> dict[str, Any]:
    """The profiles that a pipeline makes of some rows, without what the usual anchor gives."""
    made = merge(plan_for(**parts), rows)
    for profile in made.profiles.values():
        profile.pop("me", None)
    assert all(counts.balanced for counts in made.counts.values()), made.counts
    return {u: {k: v for k, v in p.items() if k != "me"} for u, p in made.profiles.items()}


def merge(
    plan: Plan,
    rows: Mapping[str, Sequence[Row] | pd.DataFrame],
    chunk: int = 1000,
    hooks: Mapping[str, Hook] | None = None,
) -> Merged:
    """The documents of rows by dataset, delivered in chunks of ``chunk`` rows."""
    made, staged, links, lookups = Merged(), {}, {}, {}
    for name in plan.datasets:
        staged[name] = _normalised(plan, name, rows.get(name, ()), chunk, made, links, hooks or {})
    for entry in plan.datasets.values():
        for lookup in entry.dataset.lookups.values():
            table = staged[lookup.dataset]
            table = empty_rows(plan, lookup.dataset) if table is None else table
            key = f"{lookup.dataset}:{lookup.key}"
            if key not in lookups:
                lookups[key], repeated = lookup_table(table, lookup.key)
                counts, table_plan = made.counts[lookup.dataset], plan.datasets[lookup.dataset]
                counts.reference -= repeated.height
                quarantine(repeated, table_plan, counts, "duplicate", lookup.key)
    for entry in plan.placed:
        frame = staged[entry.name]
        for hop, (link, _) in enumerate(entry.links):
            if frame is not None:
                spec = plan.pipeline.profile.user_id
                frame, ended = follow(frame, links.get(link), entry, hop, spec)
                made.counts[entry.name] += ended
        staged[entry.name] = frame

    def read(name: str) -> pl.DataFrame | None:
        frame = staged[name]
        if frame is None or not frame.height:
            return None
        if name == plan.anchor.name:
            return frame.with_columns(pl.lit(0, pl.Int32).alias(BUCKET))
        return frame

    settled = settle(plan, read, lookups)
    if settled is None:
        return made
    for name, ended in settled.counts.items():
        made.counts[name] += ended
    made.held = {str(u): reason for u, _, reason in settled.held.iter_rows()}
    for user, _, body, credential in bodies(plan, settled, lookups).iter_rows():
        made.bodies[str(user)] = body.encode()
        made.credentials[str(user)] = None if credential is None else credential.encode()
    return made


def _normalised(
    plan: Plan,
    name: str,
    rows: Sequence[Row] | pd.DataFrame,
    chunk: int,
    made: Merged,
    links: dict[str, pl.DataFrame],
    hooks: Mapping[str, Hook],
) -> pl.DataFrame | None:
    entry = plan.datasets[name]
    made.counts[name] = RowCounts()
    parts: list[pl.DataFrame] = []
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        frame = part if isinstance(part, pd.DataFrame) else _frame(part, list(entry.columns))
        normal = normalise(frame, entry, hooks.get(name))
        made.counts[name] += normal.counts
        for link_name, link in plan.links_from(name).items():
            crosswalk = link_rows(normal.rows, link_name, link, entry)
            before = [links[link_name]] if link_name in links else []
            links[link_name] = pl.concat([*before, crosswalk])
        if entry.is_reference:
            made.counts[name].reference += normal.rows["__reason"].null_count()
            bad = normal.rows.filter(pl.col("__reason").is_not_null())
            quarantine(bad, entry, made.counts[name])
            parts.append(normal.rows.filter(pl.col("__reason").is_null()))
        elif entry.links:
            parts.append(keyed(normal.rows, entry, made.counts[name]))
        else:
            spec = plan.pipeline.profile.user_id
            parts.append(led_to_user(normal.rows, entry, spec, made.counts[name]))
    return pl.concat(parts) if parts else None


def _frame(rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a connector delivers them; a row without a key lacks the field."""
    made = {}
    for column in columns:
        values = [row.get(column) for row in rows]
        is_integer = all(isinstance(v, int) for v in values if v is not None)
        is_float = all(isinstance(v, float) for v in values if v is not None)
        is_binary = all(isinstance(v, bytes) for v in values if v is not None)
        dtype = (
            pl.Binary
            if is_binary
            else pl.Int64
            if is_integer
            else pl.Float64
            if is_float
            else pl.String
        )
        if all(v is None for v in values):
            dtype = pl.String
        made[column] = pl.Series(column, values, dtype=dtype, strict=False)
    absent = {
        ABSENT + c: pl.Series([c not in row for row in rows], dtype=pl.Boolean) for c in columns
    }
    bad = pl.Series([None] * len(rows), dtype=pl.String)
    frame = pl.DataFrame({**made, BAD_COLUMN: bad, **absent})
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.to_pandas(types_mapper=pd.ArrowDtype)
