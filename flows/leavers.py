"""Leavers: users with documents in Redis whom the sources no longer know, and their removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from uuid import uuid4

import polars as pl

from connectors.registry import connector
from core.errors import NotLoaded
from core.expressions import condition, names_in
from core.pseudonym import pseudonym
from core.quarantine import Quarantine
from flows.guards import Leaving
from flows.keyed import KeyedReader
from flows.run_context import RunContext
from store.client import client_of
from store.outcome import Expected, Removed
from store.readback import check_bucket
from store.scan import present, users_in_redis
from store.writer import BucketWriter, Pass
from transforms.columns import BUCKET, USER_ID
from transforms.slots import buckets_of

KNOWN = "known"
"""The stage's file of the users who have a document or are held, by bucket."""

_FILE = "leavers"
_IDS_AT_ONCE = 100_000


@dataclass
class Swept:
    """What became of the users to remove.

    ``spared`` ones are in their anchor again; ``superseded`` ones have a newer run's documents.
    ``removed_users`` are pseudonyms.
    """

    removed: int = 0
    spared: int = 0
    superseded: int = 0
    quarantine: Quarantine = field(default_factory=Quarantine)
    removed_users: list[str] = field(default_factory=list)

    def after(self, before: Swept) -> Swept:
        """The same with the users whom an earlier attempt of the run has removed."""
        users = list(dict.fromkeys([*before.removed_users, *self.removed_users]))
        return replace(self, removed=before.removed + self.removed, removed_users=users)


def find_leavers(run: RunContext) -> Leaving:
    """Stages the users that the run will remove, and counts them.

    Raises:
        TargetError: Redis does not answer.
        StageError: the disk is full, or a stage file is damaged.
    """
    if run.plan.carried:
        return Leaving(0, 0)  # nobody is removed by a run that has not read all sources
    with run.stage.writer("in_redis") as file:
        for ids in _candidates(run):
            file.append(ids, buckets_of(ids[USER_ID], run.plan.pipeline.profile.key, run.buckets))
    in_redis = run.stage.reader("in_redis")
    known_users = run.stage.reader(KNOWN)
    users = leaving = 0
    with run.stage.writer(_FILE) as file:
        for bucket in in_redis.partitions:
            found = in_redis.read([bucket])
            assert found is not None
            # SCAN may tell a key twice, and a user has two.
            found = found.unique()
            users += found.height
            if run.scope.buckets is not None and bucket not in run.scope.buckets:
                continue
            known = known_users.read([bucket])
            gone = found if known is None else found.join(known, on=USER_ID, how="anti")
            leaving += gone.height
            file.append(gone, pl.repeat(bucket, gone.height, eager=True, dtype=pl.Int32))
    run.stage.remove("in_redis")
    return Leaving(leaving, users)


def find_leavers_again(run: RunContext) -> Leaving:
    """As ``find_leavers``, in place of what that has found before.

    Raises:
        TargetError: Redis does not answer.
        StageError: the disk is full, or a stage file is damaged.
    """
    run.stage.remove(_FILE)
    return find_leavers(run)


def sweep(run: RunContext, pseudonym_key: bytes) -> Swept:
    """Removes the leavers whom their anchor, asked again now, still does not know.

    Users who were forgotten are removed whatever their anchor says. Selected users who have
    neither rows nor documents are marked as removed, so that no older run brings them.

    Raises:
        SourceError: the anchor can't be asked.
        FenceLost: another writer has taken a bucket.
        TargetError: Redis did not do it for all.
        NotLoaded: Redis says that it did, and still holds documents of somebody.
        StageError: a stage file is damaged.
    """
    swept = Swept()
    if run.plan.carried:
        return swept
    leavers, absent = run.stage.reader(_FILE), _absent(run)
    if not leavers.total_rows and not absent:
        return swept
    profile = run.plan.pipeline.profile
    this = Pass(run.epoch, uuid4().hex, profile.schema_version, complete=False)
    with BucketWriter(
        run.redis_url, run.keys, server=run.server, timeouts=run.timeouts, limits=run.limits
    ) as writer:
        for bucket in leavers.partitions:
            ids = leavers_in(run, bucket)
            back = _in_anchor(run, pl.Series(USER_ID, ids, dtype=pl.String))
            going = [u for u in ids if u not in back or u in run.scope.suppressed]
            swept.spared += len(ids) - len(going)
            done = writer.remove(bucket, going, this)
            swept.removed += done.removed
            swept.superseded += done.superseded
            swept.quarantine += Quarantine.of_users(done.quarantined)
            swept.removed_users += [pseudonym(pseudonym_key, user) for user in going]
            _check_gone(run, bucket, going, done)
        for bucket, users in absent.items():
            writer.remove(bucket, users, this)
    return swept


def _absent(run: RunContext) -> dict[int, list[str]]:
    """By bucket, selected users without rows and without documents when they were looked for."""
    if run.scope.users is None:
        return {}
    ids = _frame(run.scope.users[USER_ID].cast(pl.String).to_list())
    ids = ids.with_columns(
        buckets_of(ids[USER_ID], run.plan.pipeline.profile.key, run.buckets).alias(BUCKET)
    )
    for reader in map(run.stage.reader, (KNOWN, _FILE)):
        if (rows := reader.read(reader.partitions)) is not None:
            ids = ids.join(rows, on=USER_ID, how="anti")
    return {bucket[0]: part[USER_ID].to_list() for bucket, part in ids.group_by(BUCKET)}


def _check_gone(run: RunContext, bucket: int, users: list[str], done: Removed) -> None:
    """Does nothing where Redis holds no document of removed users.

    Raises:
        NotLoaded: it does: a command was damaged on its way, and may have removed others.
    """
    expected = Expected(bucket, run.epoch)
    for user in users:
        expected.add(user, None, None)
    left = check_bucket(
        run.redis_url,
        run.keys,
        expected.without(done.quarantined),
        server=run.server,
        timeouts=run.timeouts,
    )
    if left.findings:
        raise NotLoaded(dict(left.findings))


def leavers_in(run: RunContext, bucket: int) -> list[str]:
    """The users of a bucket whom ``find_leavers`` has found.

    Raises:
        StageError: a stage file is damaged.
    """
    rows = run.stage.reader(_FILE).read([bucket])
    return [] if rows is None else rows[USER_ID].to_list()


def _candidates(run: RunContext) -> Iterator[pl.DataFrame]:
    """Users with documents, among those that the run is about: all, or the selected ones."""
    with client_of(run.redis_url, run.timeouts) as client:
        if run.scope.users is not None:
            ids = run.scope.users[USER_ID].cast(pl.String).to_list()
            yield _frame(present(client, run.keys, ids))
            return
        waiting: list[str] = []
        for users in users_in_redis(client, run.keys):
            waiting += users
            if len(waiting) >= _IDS_AT_ONCE:
                yield _frame(waiting)
                waiting = []
        yield _frame(waiting)


def _frame(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({USER_ID: ids}, schema={USER_ID: pl.String})


def _in_anchor(run: RunContext, ids: pl.Series) -> set[str]:
    """Those of the users whom the anchor knows at this moment."""
    anchor = run.plan.anchor
    integer = run.plan.pipeline.profile.user_id.type == "integer"
    wanted = ids.cast(pl.Int64, strict=False).drop_nulls() if integer else ids
    opened = connector(anchor.source, run.plan.pipeline.sources[anchor.source])
    try:
        opened.open()
        rows = KeyedReader(run, {anchor.source: opened}).rows_of_users(anchor, wanted.to_frame())
    finally:
        opened.close()
    if rows is None:
        return set()
    late = anchor.late_where
    if late is not None and set(names_in(late)) <= set(rows.columns):
        rows = rows.filter(condition(late).fill_null(value=False))
    return set(rows[USER_ID].cast(pl.String))
