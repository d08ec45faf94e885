"""How old a profile is: when the sources were as it says.

A document carries the epoch that wrote it, and an unchanged one keeps it for ever. The floor of
its bucket is the epoch of the last complete run over all its users: the higher of both confirmed
it. The view of an epoch is the moment of its oldest snapshot, kept from before the first write.
"""

from __future__ import annotations

import time
from datetime import datetime

import redis

from core.errors import TargetUnfit
from store.conversation import Ask, Conversation, unwrapped
from store.driver_errors import driver_errors
from store.keys import Keys

VIEWS_KEPT = 5_000
"""Epochs whose view is known; an incremental run every five minutes makes 288 a day."""

VIEW_TRUSTED_S = 60.0
FLOOR_TRUSTED_S = 5.0
FLOORS_AT_ONCE = 64
"""Redis takes 0.03 to 0.04 ms for them while a load runs."""

MOST_REMEMBERED = 1_000


def keep_view(client: redis.Redis, keys: Keys, epoch: int, as_of: datetime, run: str = "") -> None:
    """Records when the oldest snapshot of an epoch was taken, and for which run.

    Raises:
        TargetError: Redis did not take it.
    """
    with driver_errors("ZADD"), client.pipeline(transaction=True) as pipe:
        pipe.zremrangebyscore(keys.views, epoch, epoch)
        pipe.zadd(keys.views, {f"{epoch} {as_of.isoformat()} {run}": epoch})
        pipe.zremrangebyrank(keys.views, 0, -VIEWS_KEPT - 1)
        pipe.execute()


def refuse_lost_epoch(client: redis.Redis, keys: Keys, epoch: int, run: str) -> None:
    """Does nothing where Redis knows that this run has drawn this epoch, and nobody again.

    What Redis loses in a restart or a failover is always the end of what was done. So the
    counter is sound, and everything from before the view, where the view is still there.

    Raises:
        TargetUnfit: the epoch was lost, and another run may have it now.
        TargetError: Redis does not answer.
    """
    with driver_errors("ZREVRANGEBYSCORE"):
        found: list[bytes] = client.execute_command("ZREVRANGEBYSCORE", keys.views, epoch, epoch)
    if [view.decode().split(" ")[2:] for view in found] != [[run]]:
        raise TargetUnfit(
            f"it has lost data from before this run's first write: epoch {epoch} is not known to "
            "be this run's any more; run again"
        )


class Freshness:
    """Remembers, for a short while, what a reader has learned of epochs and floors."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._views: dict[int, tuple[float, datetime]] = {}
        self._floors: dict[int, tuple[float, int]] = {}

    def as_of(self, epoch: int) -> Conversation[datetime | None]:
        """The moment of an epoch's oldest snapshot, or an earlier one; None where unknown.

        A higher epoch has later views of all sources. So the view of the next lower epoch that
        is known tells that the profile is no older.
        """
        known = self._views.get(epoch)
        if known is not None and time.monotonic() - known[0] < VIEW_TRUSTED_S:
            return known[1]
        question = ("ZREVRANGEBYSCORE", self._keys.views, epoch, "-inf", "LIMIT", 0, 1)
        [reply] = yield Ask([question])
        found = unwrapped(reply, "ZREVRANGEBYSCORE")
        if not found:
            return None
        view = datetime.fromisoformat(found[0].decode().split(" ")[1])
        if len(self._views) >= MOST_REMEMBERED:
            self._views.clear()
        self._views[epoch] = (time.monotonic(), view)
        return view

    def floor(self, bucket: int) -> Conversation[int]:
        """The floor of a bucket, as of a few seconds ago at most.

        Its neighbours' are asked for with it, so that few questions wait for such an answer.
        """
        now, seen = time.monotonic(), self._floors.get(bucket)
        if seen is not None and now - seen[0] < FLOOR_TRUSTED_S:
            return seen[1]
        start = bucket - bucket % FLOORS_AT_ONCE
        near = range(start, min(start + FLOORS_AT_ONCE, self._keys.buckets))
        [reply] = yield Ask([("MGET", *map(self._keys.floor, near))])
        found = map(int, [floor or 0 for floor in unwrapped(reply, "MGET")])
        self._floors.update(zip(near, [(now, floor) for floor in found], strict=True))
        return self._floors[bucket][1]
