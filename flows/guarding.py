"""Guard: what the extracted rows look like, judged before the first write."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from core.expressions import names_in
from core.plan import DatasetPlan
from core.records import RowCounts
from flows.run_context import RunContext
from flows.steps import advance
from stage.partitions import PartitionReader
from transforms.columns import BUCKET, CULPRIT, REASON, ROW, USER_ID
from transforms.element_keys import match_columns
from transforms.normalise import is_copied
from transforms.settle import Read, settle

_NOT_OF_THE_ROW = "user_held"
"""Rows withheld with their user are counted by what held him, not a second time."""


def settle_all(run: RunContext) -> tuple[dict[str, RowCounts], int]:
    """Where the rows of all buckets will end, by dataset, and how many users are held.

    Raises:
        StageError: a stage file is damaged.
    """
    counts = {entry.name: RowCounts() for entry in run.plan.placed}
    held = 0
    readers = readers_of(run)
    columns = {entry.name: _needed(entry, run) for entry in run.plan.placed}
    for unit in run.units(list(range(run.buckets))):
        advance("guard", len(unit) / run.buckets)
        settled = settle(run.plan, reads(run, readers, unit, columns), run.lookups)
        if settled is None:
            continue
        held += settled.held.height
        for name, ended in settled.counts.items():
            counts[name] += ended
    return counts, held


def findings(run: RunContext, counts: Mapping[str, RowCounts]) -> list[str]:
    """What stops the run: too few rows, too many that can't be used, rows not accounted for."""
    found = []
    limit = run.plan.pipeline.guard.max_quarantined_share
    for name, ended in counts.items():
        least = run.plan.datasets[name].dataset.min_rows
        source = run.plan.datasets[name].source
        if ended.rows < least:
            found.append(
                f"source {source}: {name} has {ended.rows} rows, fewer than its min_rows {least}: "
                "missing is not empty"
            )
        own = {why: n for why, n in ended.quarantined.items() if why[0] != _NOT_OF_THE_ROW}
        unusable = sum(own.values())
        if unusable > limit * (ended.rows + ended.copies):
            worst = sorted(own.items(), key=lambda pair: -pair[1])[:3]
            reasons = ", ".join(
                f"{n} {why[0]}{f' ({why[1]})' if why[1] else ''}" for why, n in worst
            )
            found.append(
                f"{name}: {unusable} of {ended.rows + ended.copies} rows can't be used "
                f"({reasons}), more than max_quarantined_share {limit:g} allows"
            )
        if not ended.balanced:
            found.append(f"{name}: the counts do not add up to the rows read: {ended}")
    return found


def readers_of(run: RunContext) -> dict[str, PartitionReader]:
    """The staged rows of all placed datasets."""
    return {entry.name: run.stage.reader("rows", entry.name) for entry in run.plan.placed}


def reads(
    run: RunContext,
    readers: Mapping[str, PartitionReader],
    unit: list[int],
    columns: Mapping[str, list[str]] | None = None,
) -> Read:
    """A function that reads the rows of some buckets, as ``settle`` wants them."""
    anchor = run.plan.anchor.name

    def read(name: str) -> pl.DataFrame | None:
        wanted = columns[name] if columns is not None else None
        rows = readers[name].read(unit, wanted)
        if rows is None or name != anchor:
            return rows
        sizes = [readers[name].rows(bucket) for bucket in unit]
        buckets = pl.Series(BUCKET, unit, dtype=pl.Int32)
        return rows.with_columns(buckets.repeat_by(pl.Series(sizes)).explode().alias(BUCKET))

    return read


def _needed(entry: DatasetPlan, run: RunContext) -> list[str]:
    """The columns that decide where rows end."""
    dataset = entry.dataset
    linked = [f"{name}.{column}" for name, link in entry.links for column in link.columns]
    wanted = [
        *match_columns(entry),
        *dataset.primary_key,
        *(order.split()[0] for order in dataset.order_by),
        *names_in(entry.late_where or {}),
        *(lookup.on for lookup in dataset.lookups.values()),
        *linked,
    ]
    children = [
        match.element
        for child in run.plan.placed
        if entry.name in child.parent_datasets
        for match in child.matches
    ]
    for element in children:
        field = dataset.fields.get(element)
        if field is None or (field.column is None and field.derive is None):
            wanted.append(element)
        elif field.derive is not None:
            wanted += names_in(field.derive)
        else:
            wanted.append(field.column or element)
    known = [*entry.types, *linked]
    marks = [USER_ID, REASON, CULPRIT, *([ROW] if is_copied(entry) else [])]
    return [*marks, *dict.fromkeys(w for w in wanted if w in known)]
