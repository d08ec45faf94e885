"""Load: bucket by bucket, merge → bodies → the fenced writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import polars as pl

from core.quarantine import Quarantine
from core.records import BucketDocuments, LoadCounts
from flows.carrying import carried_sections
from flows.checking import keep_expected
from flows.run_context import RunContext
from flows.settling import readers_of, reads
from stage.partitions import PartitionReader
from store.outcome import Expected
from store.writer import BucketWriter, Pass
from transforms.columns import BUCKET, REASON, USER_ID
from transforms.merge import bodies
from transforms.settle import settle

TOO_LARGE = "too_large"
"""Why a user is held whose document would keep Redis busy for long, or be refused."""

KEPT_AT_ONCE = 20_000
"""Users whose digests are staged for the check at once."""


def documents_of(run: RunContext, buckets: list[int]) -> Iterator[BucketDocuments]:
    """The documents of some buckets, one entry a bucket, empty buckets included.

    The next ones are merged while the caller is at work on the last.

    Raises:
        StageError: a stage file is damaged.
    """
    readers = readers_of(run)
    with ThreadPoolExecutor(1, "merge") as ahead:
        made: Future[list[BucketDocuments]] | None = None
        for unit in run.units(buckets):
            following = ahead.submit(_merged, run, readers, unit)
            if made is not None:
                yield from made.result()
            made = following
        if made is not None:
            yield from made.result()


def _merged(
    run: RunContext, readers: Mapping[str, PartitionReader], unit: list[int]
) -> list[BucketDocuments]:
    settled = settle(run.plan, reads(run, readers, unit), run.lookups)
    if settled is None:
        return [BucketDocuments(bucket, [], [], []) for bucket in unit]
    carried = carried_sections(run, settled.users[USER_ID])
    merged = bodies(run.plan, settled, run.lookups, carried)
    ids = merged[USER_ID].cast(pl.String)
    texts = merged.with_columns(
        ids.alias(USER_ID),
        pl.col("body").cast(pl.Binary),
        pl.col("credential").cast(pl.Binary),
    )
    held = settled.held.with_columns(pl.col(USER_ID).cast(pl.String)).select(
        USER_ID, BUCKET, REASON
    )
    most = run.settings.document_bytes
    large = pl.max_horizontal(pl.col("body", "credential").bin.size()) > most
    giants = texts.filter(large)
    if giants.height:
        told = giants.select(USER_ID, BUCKET, pl.lit(TOO_LARGE).alias(REASON))
        texts, held = texts.filter(~large), pl.concat([held, told])
    return [
        BucketDocuments(
            bucket,
            part[USER_ID].to_list(),
            part["body"].to_list(),
            part["credential"].to_list(),
            dict(held.filter(pl.col(BUCKET) == bucket).select(USER_ID, REASON).iter_rows()),
        )
        for bucket in unit
        for part in [texts.filter(pl.col(BUCKET) == bucket)]
    ]


def load_buckets(
    run: RunContext, group: int, buckets: list[int], progress: Callable[[int], None]
) -> tuple[LoadCounts, Quarantine]:
    """Writes some buckets; what the check will expect is kept in the stage.

    Args:
        group: the number of this group of buckets.
        progress: told how many buckets are done, after each.

    Returns:
        The counts, and the users whose documents could not be written.

    Raises:
        FenceLost: another writer took a bucket, or a newer run has completed it.
        TargetError: Redis can't take the documents.
        StageError: the disk is full, or a stage file is damaged.
    """
    counts, unwritten = LoadCounts(), Quarantine()
    this = Pass(
        epoch=run.epoch,
        attempt=uuid4().hex,
        schema_version=run.plan.pipeline.profile.schema_version,
        complete=run.scope.whole_buckets,
        raise_epoch=not run.scope.whole_buckets,
        stale=run.stale,
    )
    run.stage.remove("expected", str(group))
    with (
        run.stage.writer("expected", str(group)) as expected,
        BucketWriter(
            run.redis_url,
            run.keys,
            server=run.server,
            timeouts=run.timeouts,
            limits=run.limits,
            go_on=run.go_on,
        ) as writer,
    ):
        kept: list[Expected] = []
        for done, documents in enumerate(documents_of(run, buckets), 1):
            loaded = writer.load(documents, this, run.rewrite)
            counts += loaded.counts
            large = {user: why for user, why in documents.held.items() if why == TOO_LARGE}
            unwritten += Quarantine.of_users({**loaded.quarantined, **large})
            kept.append(loaded.expected)
            if done == len(buckets) or sum(len(e.user_ids) for e in kept) >= KEPT_AT_ONCE:
                # seldom: Redis has nothing to do meanwhile
                keep_expected(expected, kept)
                kept.clear()
            progress(done)
    return counts, unwritten
