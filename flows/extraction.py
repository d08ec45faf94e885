"""Extract: a source's rows, typed, into the stage: by bucket, or by the hash of a link's key."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from connectors.base import Connector
from core.plan import DatasetPlan
from core.records import RowCounts
from flows.run_context import RunContext
from flows.steps import advance
from stage.partitions import PartitionWriter
from transforms.columns import KEY, REASON, USER_ID
from transforms.normalise import keyed, led_to_user, link_rows, normalise
from transforms.quarantine import quarantine
from transforms.slots import buckets_of


@dataclass
class Extracted:
    """What came of reading one source."""

    source: str
    seconds: float
    counts: dict[str, RowCounts] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows read."""
        return sum(counts.rows for counts in self.counts.values())


def extract_source(run: RunContext, source: str, connector: Connector) -> Extracted:
    """Reads all datasets of an open source into the stage.

    Raises:
        SourceError: as the connector raises it; what was staged is then not all.
        StageError: the disk is full.
    """
    started = time.monotonic()
    extracted = Extracted(source, 0.0)
    for entry in run.plan.datasets.values():
        if entry.source == source:
            extracted.counts[entry.name] = _extract_dataset(run, entry, connector)
    extracted.seconds = time.monotonic() - started
    return extracted


def _extract_dataset(run: RunContext, entry: DatasetPlan, connector: Connector) -> RowCounts:
    counts = RowCounts()
    with ExitStack() as open_files:
        router = _Router(run, entry, open_files)
        for frame in connector.read(entry.query, run.settings.chunk_bytes):
            run.go_on()
            made = normalise(frame, entry, run.hooks.get(entry.name))
            counts += made.counts
            router.route(made.rows, counts)
    advance("extract", 1 / len(run.plan.datasets))
    return counts


class _Router:
    """Sends a dataset's typed rows to all files of the stage that need them."""

    def __init__(self, run: RunContext, entry: DatasetPlan, open_files: ExitStack) -> None:
        self._run, self._entry = run, entry
        stage, name = run.stage, entry.name
        self._rows: PartitionWriter | None = None
        if not entry.is_reference:
            file = ("keyed", name, "0") if entry.links else ("rows", name)
            self._rows = open_files.enter_context(stage.writer(*file))
        self._links = {
            link_name: (link, open_files.enter_context(stage.writer("link", link_name)))
            for link_name, link in run.plan.links_from(name).items()
        }
        self._lookup = (
            open_files.enter_context(stage.writer("lookup", name))
            if run.plan.lookups_on(name)
            else None
        )

    def route(self, rows: pl.DataFrame, counts: RowCounts) -> None:
        """Stages a chunk's rows; those that end here are counted."""
        for link_name, (link, file) in self._links.items():
            made = link_rows(rows, link_name, link, self._entry)
            file.append(made, partition_of(made, self._run.stage.partitions))
        if self._lookup is not None:
            good = rows.filter(pl.col(REASON).is_null())
            self._lookup.append(good, pl.repeat(0, good.height, eager=True, dtype=pl.Int32))
        if self._rows is None:
            counts.reference += rows[REASON].null_count()
            quarantine(rows.filter(pl.col(REASON).is_not_null()), self._entry, counts)
        elif self._entry.links:
            led = keyed(rows, self._entry, counts)
            self._rows.append(led, partition_of(led, self._run.stage.partitions))
        else:
            spec = self._run.plan.pipeline.profile.user_id
            led = led_to_user(rows, self._entry, spec, counts)
            self._rows.append(*self._run.scope.rows(led, bucket_of(self._run, led), counts))


def partition_of(rows: pl.DataFrame, partitions: int) -> pl.Series:
    """The partition of rows by the hash of their link key."""
    keys = [column for column in rows.columns if column.startswith(KEY)]
    hashed = rows.select(pl.struct(keys).hash(seed=0) % partitions).to_series()
    return hashed.cast(pl.Int32)


def bucket_of(run: RunContext, rows: pl.DataFrame) -> pl.Series:
    """The bucket of rows by their user."""
    return buckets_of(rows[USER_ID], run.plan.pipeline.profile.key, run.buckets)
