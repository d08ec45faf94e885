"""Load: bucket by bucket, merge → bodies → the fenced writer."""

from __future__ import annotations

import polars as pl

from core.records import BucketDocuments
from flows.guarding import reads, readers_of
from flows.run_context import RunContext
from transforms.columns import BUCKET, REASON, USER_ID
from transforms.merge import bodies
from transforms.settle import settle


def documents_of(run: RunContext, unit: list[int]) -> list[BucketDocuments]:
    """The documents of some buckets, one entry a bucket, empty buckets included.

    Raises:
        StageError: a stage file is damaged.
    """
    settled = settle(run.plan, reads(run, readers_of(run), unit), run.lookups)
    if settled is None:
        return [BucketDocuments(bucket, [], [], []) for bucket in unit]
    merged = bodies(run.plan, settled, run.lookups)
    ids = merged[USER_ID].cast(pl.String)
    texts = merged.with_columns(
        ids.alias(USER_ID),
        pl.col("body").cast(pl.Binary),
        pl.col("credential").cast(pl.Binary),
    )
    held = settled.held.with_columns(pl.col(USER_ID).cast(pl.String))
    return [
        BucketDocuments(
            bucket,
            part[USER_ID].to_list(),
            part["body"].to_list(),
            part["credential"].to_list(),
            dict(
                held.filter(pl.col(BUCKET) == bucket).select(USER_ID, REASON).iter_rows()
            ),
        )
        for bucket in unit
        for part in [texts.filter(pl.col(BUCKET) == bucket)]
    ]
