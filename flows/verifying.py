"""Verify: what Redis holds, against a fresh snapshot of the sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from flows.leavers import leavers_in
from flows.loading import documents_of
from flows.run_context import RunContext
from store.client import client_of
from store.epoch import next_epoch
from store.marks import read_watermarks
from store.outcome import Expected
from store.preview import BucketPreview
from store.readback import check_bucket
from transforms.columns import USER_ID

_MOVED_ON = frozenset(("different", "extra_credential"))
"""Findings on sound documents: they are what an earlier run wrote."""

_GONE = frozenset(("extra_profile", "extra_credential"))


@dataclass
class Verified:
    """What a comparison found, by user: ``corrupt`` is wrong, ``behind`` only old.

    Findings of ``corrupt`` are those of ``store.readback``, and ``extra`` for damaged or foreign
    documents of nobody and all of users who were forgotten; of ``behind``: ``changed``, ``new``
    and ``departed`` users.
    """

    documents: int = 0
    corrupt: dict[str, list[str]] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: Verified) -> Verified:
        return Verified(
            self.documents + other.documents,
            {**self.corrupt, **other.corrupt},
            {**self.behind, **other.behind},
        )

    @property
    def findings(self) -> dict[str, int]:
        """How many documents are corrupt, by what is wrong."""
        return dict(sorted(Counter(f for each in self.corrupt.values() for f in each).items()))

    @property
    def moved_on(self) -> dict[str, int]:
        """How many users are behind, by why."""
        return dict(sorted(Counter(self.behind.values()).items()))


def verify_buckets(
    run: RunContext, buckets: list[int], progress: Callable[[int], None]
) -> Verified:
    """Compares every document of some buckets, body by body.

    Args:
        progress: told how many buckets are done, after each.

    Raises:
        TargetError: Redis can't be read.
        StageError: a stage file is damaged.
    """
    verified = Verified()
    version = run.plan.pipeline.profile.schema_version
    with client_of(run.redis_url, run.timeouts) as client:
        epoch = next_epoch(client, run.keys) - 1
    fresh = _fresh_users(run, buckets)
    with BucketPreview(
        run.redis_url, run.keys, server=run.server, timeouts=run.timeouts
    ) as preview:
        for done, documents in enumerate(documents_of(run, buckets), 1):
            loaded = preview.load(documents, epoch, version).loaded
            verified += _judged(run, loaded.expected, fresh)
            for user, reason in loaded.quarantined.items():
                verified.corrupt[user] = [reason]
            verified += _leavers(run, documents.bucket, epoch)
            run.go_on()
            progress(done)
    return verified


def _judged(run: RunContext, expected: Expected, fresh: set[str]) -> Verified:
    checked = check_bucket(
        run.redis_url, run.keys, expected, timeouts=run.timeouts, server=run.server
    )
    made = Verified(checked.documents)
    for user, findings in checked.users.items():
        if set(findings) <= _MOVED_ON:
            made.behind[user] = "changed"
        elif user in fresh and set(findings) == {"missing"}:
            made.behind[user] = "new"
        else:
            made.corrupt[user] = [finding for finding in findings if finding not in _MOVED_ON]
    return made


def _leavers(run: RunContext, bucket: int, epoch: int) -> Verified:
    """Documents of users whom the sources do not know."""
    users = leavers_in(run, bucket)
    nothing: list[str | None] = [None] * len(users)
    checked = check_bucket(
        run.redis_url,
        run.keys,
        Expected(bucket, epoch, users, nothing, nothing),
        timeouts=run.timeouts,
        server=run.server,
    )
    made = Verified(len(users))
    for user, findings in checked.users.items():
        wrong = [finding for finding in findings if finding not in _GONE]
        if wrong or user in run.scope.suppressed:
            made.corrupt[user] = ["extra", *wrong]
        else:
            made.behind[user] = "departed"
    return made


def _fresh_users(run: RunContext, buckets: list[int]) -> set[str]:
    """Users with a row, of those that decide who has a document, that the last run has not seen."""
    with client_of(run.redis_url, run.timeouts) as client:
        seen = read_watermarks(client, run.keys)
    fresh: set[str] = set()
    for entry in run.plan.placed:
        cursor = entry.dataset.cursor
        decides = entry is run.plan.anchor or entry.dataset.required
        if not decides or cursor is None or entry.source not in seen:
            continue
        rows = run.stage.reader("rows", entry.name).read(buckets, [USER_ID, cursor])
        if rows is None:
            continue
        lag = timedelta(seconds=run.plan.pipeline.sources[entry.source].lag_s)
        at = pl.col(cursor).cast(pl.Datetime("us", "UTC"))
        newer = rows.filter(at >= seen[entry.source] - lag)
        fresh.update(newer[USER_ID].cast(pl.String))
    return fresh


def behind_s(run: RunContext, as_of: dict[str, datetime]) -> dict[str, float]:
    """By source, the seconds between the last run's snapshot and this one."""
    with client_of(run.redis_url, run.timeouts) as client:
        seen = read_watermarks(client, run.keys)
    return {
        name: round((now - seen[name]).total_seconds(), 1)
        for name, now in as_of.items()
        if name in seen
    }
