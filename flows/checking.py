"""Check: what the load expects of Redis, kept beside the stage and held against it afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from prefect import get_run_logger

from flows.run_context import RunContext
from flows.steps import advance
from stage.partitions import PartitionWriter
from store.client import client_of
from store.outcome import Checked, Expected
from store.readback import check_bucket
from store.scan import remove_misplaced

_USER, _PROFILE, _CREDENTIAL = "user_id", "profile", "credential"


def keep_expected(file: PartitionWriter, expected: Sequence[Expected]) -> None:
    """Stages the digests that some buckets must have.

    Raises:
        StageError: the disk is full.
    """
    rows = pl.DataFrame(
        {
            _USER: [user_id for each in expected for user_id in each.user_ids],
            _PROFILE: [digest for each in expected for digest in each.profiles],
            _CREDENTIAL: [digest for each in expected for digest in each.credentials],
        },
        schema={_USER: pl.String, _PROFILE: pl.String, _CREDENTIAL: pl.String},
    )
    buckets = [pl.repeat(e.bucket, len(e.user_ids), eager=True, dtype=pl.Int32) for e in expected]
    file.append(rows, pl.concat(buckets))


def check_buckets(run: RunContext, group: int, buckets: list[int]) -> Checked:
    """Reads every document of some buckets back, and compares it with what was to be loaded.

    Raises:
        TargetError: Redis does not answer.
        StageError: a stage file is damaged.
    """
    checked = Checked()
    file = run.stage.reader("expected", str(group))
    for bucket in buckets:
        run.go_on()
        advance("check", 1 / run.buckets)
        rows = file.read([bucket])
        if rows is None:
            continue
        expected = Expected(
            bucket,
            run.epoch,
            rows[_USER].to_list(),
            rows[_PROFILE].to_list(),
            rows[_CREDENTIAL].to_list(),
        )
        checked += check_bucket(
            run.redis_url, run.keys, expected, timeouts=run.timeouts, server=run.server
        )
    return checked


def remove_strays(run: RunContext, missing: set[str]) -> None:
    """Removes documents that were written to a key of nobody.

    Args:
        missing: digests of the documents that the check did not find.

    Raises:
        TargetError: Redis does not answer.
    """
    with client_of(run.redis_url, run.timeouts) as client:
        removed = remove_misplaced(client, run.keys, missing)
    if removed:
        get_run_logger().warning("%d documents stood under keys of nobody", removed)
