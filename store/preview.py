"""What a load would do to a bucket, found out without a fence and without writing anything."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import NamedTuple, Self

from core.document import Stale
from core.records import BucketDocuments, LoadCounts
from store.client import Timeouts
from store.expiry import may_expire
from store.facts import Server
from store.fence import marks_of
from store.keys import Keys
from store.load import Load
from store.look import Looker
from store.outcome import Loaded
from store.plan import Planner, Sealer
from store.wire import Primary


class Preview(NamedTuple):
    """What a load would return, and the users whose documents it would update."""

    loaded: Loaded
    updated: list[str]

    @property
    def counts(self) -> LoadCounts:
        """What would become of the documents."""
        return self.loaded.counts


class BucketPreview:
    """Compares buckets with one Redis over connections of its own."""

    def __init__(
        self, url: str, keys: Keys, *, server: Server | None = None, timeouts: Timeouts = Timeouts()
    ) -> None:
        self._keys = keys
        primary = Primary(url, timeouts, server)
        self._control, self._looking = primary.wire(), primary.wire()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._control.drop()
        self._looking.drop()

    def load(
        self,
        documents: BucketDocuments,
        epoch: int,
        schema_version: int,
        stale: Stale = (),
        rewrite: Collection[str] = (),
    ) -> Preview:
        """What ``BucketWriter.load`` would do now.

        Raises:
            TargetError: Redis can't be read.
        """
        marks_key = self._keys.removed(documents.bucket)
        marks = marks_of(marks_key, *self._control.look_up(("HGETALL", marks_key)))
        persist = may_expire(self._control, self._keys)
        planner = Planner(Sealer(schema_version, epoch, stale), marks_key, False, rewrite, persist)
        looker = Looker(self._looking, self._control, marks, lambda: None)
        load = Load(self._keys, documents.bucket, planner, looker, self._control)
        updated = [w.user_id for w in load.profiles(documents) if w.kind == "updated"]
        for _ in load.holds(documents):
            pass  # counted by the planner
        return Preview(load.loaded([]), updated)
