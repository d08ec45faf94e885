"""Settle all: where every row of the run will end, before the first write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from core.expressions import names_in
from core.plan import DatasetPlan
from core.quarantine import Quarantine
from core.records import RowCounts
from flows.guards import Leaving
from flows.leavers import KNOWN, find_leavers
from flows.run_context import RunContext
from flows.steps import advance
from stage.partitions import PartitionReader
from transforms.columns import BUCKET, CULPRIT, REASON, ROW, USER_ID
from transforms.element_keys import match_columns
from transforms.normalise import is_copied
from transforms.settle import Read, settle


@dataclass(frozen=True)
class Settled:
    """Where the rows and users of a run end: rows by dataset, held users by reason, leavers."""

    counts: Mapping[str, RowCounts]
    held: Quarantine
    leaving: Leaving


def settle_all(run: RunContext, extracted: Mapping[str, RowCounts]) -> Settled:
    """Where the rows and users of all buckets will end.

    Args:
        extracted: where rows have ended so far, by dataset.

    Raises:
        TargetError: Redis does not answer.
        StageError: a stage file is damaged.
    """
    counts, held = {**extracted}, Quarantine()
    readers = readers_of(run)
    buckets = run.scope_buckets
    columns = {entry.name: _needed(entry, run) for entry in run.plan.placed}
    with run.stage.writer(KNOWN) as known:
        for unit in run.units(buckets):
            advance("guard", len(unit) / len(buckets))
            settled = settle(run.plan, reads(run, readers, unit, columns), run.lookups)
            if settled is None:
                continue
            for users in (settled.users, settled.held):
                known.append(users.select(pl.col(USER_ID).cast(pl.String)), users[BUCKET])
            for (reason,), users in settled.held.group_by(REASON, maintain_order=True):
                held.add(str(reason), "", users.select(pl.col(USER_ID).cast(pl.String)))
            for name, ended in settled.counts.items():
                counts[name] += ended
    return Settled(counts, held, find_leavers(run))


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
