"""Link: the staged rows that don't carry the user id, partition by partition, to their users."""

from __future__ import annotations

from collections.abc import Iterator

from core.plan import DatasetPlan
from core.records import RowCounts
from flows.extraction import bucket_of, partition_of
from flows.run_context import RunContext
from flows.steps import advance
from stage.partitions import PartitionReader
from transforms.link import follow
from transforms.lookup import lookup_table
from transforms.quarantine import quarantine
from transforms.resolve import empty_rows

_ROWS_AT_ONCE = 100_000
"""Small partitions are joined together up to this many rows: a join has a fixed cost."""


def link_dataset(run: RunContext, entry: DatasetPlan) -> RowCounts:
    """Follows all links of a dataset; its rows end by bucket in ``rows``, or in the counts.

    Raises:
        StageError: the disk is full, or a stage file is damaged.
    """
    counts = RowCounts()
    spec = run.plan.pipeline.profile.user_id
    for hop, (link, _) in enumerate(entry.links):
        last = hop == len(entry.links) - 1
        rows = run.stage.reader("keyed", entry.name, str(hop))
        crosswalk = run.stage.reader("link", link)
        target = ("rows", entry.name) if last else ("keyed", entry.name, str(hop + 1))
        with run.stage.writer(*target) as file:
            for partitions in _together(rows):
                run.go_on()
                frame = rows.read(partitions)
                assert frame is not None
                led, ended = follow(frame, crosswalk.read(partitions), entry, hop, spec)
                counts += ended
                if led is None:
                    continue
                if last:
                    file.append(*run.scope.rows(led, bucket_of(run, led), counts))
                else:
                    file.append(led, partition_of(led, run.stage.partitions))
        run.stage.remove("keyed", entry.name, str(hop))
    advance("link", 1 / sum(bool(each.links) for each in run.plan.placed))
    return counts


def load_lookups(run: RunContext) -> dict[str, RowCounts]:
    """Reads the reference tables of all lookups into the run; repeated keys are quarantined."""
    counts: dict[str, RowCounts] = {}
    for entry in run.plan.datasets.values():
        for lookup in entry.dataset.lookups.values():
            name = f"{lookup.dataset}:{lookup.key}"
            if name in run.lookups:
                continue
            rows = run.stage.reader("lookup", lookup.dataset).read([0])
            if rows is None:
                rows = empty_rows(run.plan, lookup.dataset)
            run.lookups[name], repeated = lookup_table(rows, lookup.key)
            if repeated.height:
                ended = RowCounts(reference=-repeated.height)
                table = run.plan.datasets[lookup.dataset]
                quarantine(repeated, table, ended, "duplicate", lookup.key)
                counts[lookup.dataset] = counts.get(lookup.dataset, RowCounts()) + ended
    return counts


def _together(rows: PartitionReader) -> Iterator[list[int]]:
    """The partitions that have rows, in runs of about ``_ROWS_AT_ONCE`` rows."""
    together: list[int] = []
    size = 0
    for partition in rows.partitions:
        if together and size + rows.rows(partition) > _ROWS_AT_ONCE:
            yield together
            together, size = [], 0
        together.append(partition)
        size += rows.rows(partition)
    if together:
        yield together
