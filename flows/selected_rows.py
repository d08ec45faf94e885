"""Extract for a few users: their rows, asked for by key, into the same stage as a whole run's."""

from __future__ import annotations

import time
from collections.abc import Mapping

import polars as pl

from connectors.base import Connector
from core.errors import GuardStopped
from core.plan import DatasetPlan
from core.records import RowCounts
from flows.extraction import Extracted, bucket_of, partition_of
from flows.keyed import Chain, KeyedReader
from flows.run_context import RunContext


def extract_selected(run: RunContext, connectors: Mapping[str, Connector]) -> dict[str, Extracted]:
    """Stages all rows that the documents of the run's users need; the result is by source.

    ``rows`` of a dataset counts those that lead to these users, or that links and lookups needed.

    Raises:
        SourceError: as the connector raises it.
        GuardStopped: the anchor knows none of the users, and nobody else either.
        StageError: the disk is full.
    """
    return _Extraction(run, connectors).all()


class _Extraction:
    def __init__(self, run: RunContext, connectors: Mapping[str, Connector]) -> None:
        assert run.scope.users is not None
        self._run, self._plan, self._users = run, run.plan, run.scope.users
        self._reader = KeyedReader(run, connectors)
        self._connectors = connectors
        self._made = {name: Extracted(name, 0.0) for name in connectors}
        self._links: dict[str, list[pl.DataFrame]] = {}
        self._looked_up: dict[tuple[str, str], list[pl.Series]] = {}
        self._keys: dict[tuple[str, ...], pl.DataFrame] = {}

    def all(self) -> dict[str, Extracted]:
        for entry in self._plan.datasets.values():
            self._made[entry.source].counts[entry.name] = RowCounts()
        for entry in self._plan.placed:
            started = time.monotonic()
            self._place(entry)
            self._made[entry.source].seconds += time.monotonic() - started
        self._stage_links()
        self._stage_lookups()
        return self._made

    def _place(self, entry: DatasetPlan) -> None:
        stage, counts = self._run.stage, self._made[entry.source].counts[entry.name]
        if entry.links:
            rows = self._reader.rows_of_keys(entry, self._keys_of(entry.links))
        else:
            rows = self._reader.rows_of_users(entry, self._users)
        if entry is self._plan.anchor and (rows is None or not rows.height):
            self._refuse_empty(entry)
        if rows is None or not rows.height:
            return
        counts.rows += rows.height
        for lookup in entry.dataset.lookups.values():
            wanted = self._looked_up.setdefault((lookup.dataset, lookup.key), [])
            wanted.append(rows[lookup.on].drop_nulls().unique())
        name = ("keyed", entry.name, "0") if entry.links else ("rows", entry.name)
        with stage.writer(*name) as file:
            if entry.links:
                file.append(rows, partition_of(rows, stage.partitions))
            else:
                file.append(*self._run.scope.rows(rows, bucket_of(self._run, rows), counts))

    def _keys_of(self, chain: Chain) -> pl.DataFrame:
        """The keys that lead to the users; all link rows of these keys are kept for the stage."""
        names = tuple(name for name, _ in chain)
        if names not in self._keys:
            keys = self._keys[names] = self._reader.keys_of_users(chain, self._users)
            for name, rows in self._reader.link_rows_of_keys(chain, keys).items():
                self._links.setdefault(name, []).append(rows)
        return self._keys[names]

    def _stage_links(self) -> None:
        stage = self._run.stage
        for name, parts in self._links.items():
            rows = pl.concat(parts).unique(maintain_order=True)
            entry = self._plan.datasets[self._plan.pipeline.links[name].dataset]
            if entry.is_reference:
                counts = self._made[entry.source].counts[entry.name]
                counts += RowCounts(rows=rows.height, reference=rows.height)
                self._made[entry.source].counts[entry.name] = counts
            with stage.writer("link", name) as file:
                file.append(rows, partition_of(rows, stage.partitions))

    def _stage_lookups(self) -> None:
        by_dataset: dict[str, list[pl.DataFrame]] = {}
        for (dataset, key), values in self._looked_up.items():
            entry = self._plan.datasets[dataset]
            started = time.monotonic()
            found = self._reader.rows_of_column(entry, key, pl.concat(values))
            by_dataset.setdefault(dataset, []).extend(found)
            self._made[entry.source].seconds += time.monotonic() - started
        for dataset, parts in by_dataset.items():
            # Two lookups by different keys may find the same row.
            several = len({key for name, key in self._looked_up if name == dataset}) > 1
            if not parts:
                continue
            rows = pl.concat(parts)
            if several:
                rows = rows.unique(maintain_order=True)
            entry = self._plan.datasets[dataset]
            if entry.is_reference:
                counts = self._made[entry.source].counts[dataset]
                counts += RowCounts(rows=rows.height, reference=rows.height)
                self._made[entry.source].counts[dataset] = counts
            with self._run.stage.writer("lookup", dataset) as file:
                file.append(rows, pl.repeat(0, rows.height, eager=True, dtype=pl.Int32))

    def _refuse_empty(self, anchor: DatasetPlan) -> None:
        """Tells users who left from an anchor that lost all its rows: missing is not empty."""
        if anchor.dataset.min_rows == 0:
            return
        frames = self._connectors[anchor.source].read(anchor.query, 2**16)
        try:
            if any(len(frame) for frame in frames):
                return
        finally:
            frames.close()  # type: ignore[attr-defined]  # connectors read in generators
        raise GuardStopped(
            [f"source {anchor.source}: {anchor.name} has no rows: missing is not empty"]
        )
