"""Continuity: what was written counts only if Redis stayed the same from beginning to end.

A restart or a failover may lose writes that were acknowledged. So whoever loads and checks does
all of it again on the server that answers then: what is still there is only looked at, thanks
to the digests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import NotLoaded, TargetUnavailable, TargetUnfit
from store.client import Timeouts, client_of
from store.facts import Server, TargetFacts, facts_of
from store.freshness import refuse_lost_epoch
from store.keys import Keys
from store.preflight import preflight, refuse_eviction

POLL_S = 0.25

_CONTROL_KEYS = 3
"""Of a bucket: fence, sign of life and marks may vanish without a loss."""


@dataclass(frozen=True)
class Written:
    """What explains the number of keys: users created and removed, documents read back."""

    created: int = 0
    removed: int = 0
    documents: int = 0


@dataclass(frozen=True)
class Patience:
    """How often work is begun at most, and how long is waited for Redis and its replicas."""

    attempts: int = 3
    away_s: float = 60.0
    replicas: int = 0


class Continuity:
    """Sees to it that work ends on the same server on which it began.

    Args:
        epoch: the work's; ``run`` is whose it is, as ``keep_view`` recorded it.
        facts: what preflight was told.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        epoch: int,
        run: str,
        facts: TargetFacts,
        timeouts: Timeouts = Timeouts(),
        patience: Patience = Patience(),
    ) -> None:
        self._url, self._keys, self._timeouts, self._patience = url, keys, timeouts, patience
        self._epoch, self._run = epoch, run
        self._facts = facts

    def keep(self, work: Callable[[Server], Written], again: Callable[[str], None]) -> None:
        """Has the work done, and again where Redis has changed meanwhile, or the check says so.

        Args:
            work: writes and checks; every connection must lead to the server that it is given.
            again: told why, before the work is done again.

        Raises:
            TargetUnavailable: Redis did not come back, or changed each time.
            TargetUnfit: it lost the run's epoch, or evicted keys.
            NotLoaded: the check found something each time.
            PrefetchError: what ``work`` raises.
        """
        keys_watched = True
        for left in reversed(range(self._patience.attempts)):
            try:
                written = work(self._facts.server)
                now = self._now()
                if not (keys_watched and self._vanished(now, written)):
                    return
                why = "keys have vanished from Redis that no removal explains; load again"
                if not left:
                    raise TargetUnavailable(why)
                # All documents are read back once more; what vanishes then is not the run's.
                keys_watched = False
            except (TargetUnavailable, NotLoaded) as error:
                if not left:
                    raise
                why = error.problem
                now = self._back()
            self._facts = now
            again(why)

    def _now(self) -> TargetFacts:
        """The facts at the end of the work.

        Raises:
            TargetUnavailable: another server answers.
            TargetUnfit: keys were evicted, or everything was deleted.
        """
        with client_of(self._url, self._timeouts) as client:
            facts = facts_of(client)
            if facts.server != self._facts.server or not facts.primary:
                raise TargetUnavailable(
                    "a restart or a failover since the load began: what was acknowledged may be "
                    "gone; load again"
                )
            refuse_eviction(facts)
            if facts.evicted > self._facts.evicted:
                raise TargetUnfit(
                    f"{facts.evicted - self._facts.evicted} keys were evicted during the run: "
                    "keep maxmemory-policy at noeviction, and run again"
                )
            refuse_lost_epoch(client, self._keys, self._epoch, self._run)
        return facts

    def _vanished(self, now: TargetFacts, written: Written) -> bool:
        explained = 2 * written.removed + now.expired - self._facts.expired
        explained += _CONTROL_KEYS * self._keys.buckets + _CONTROL_KEYS
        least = max(self._facts.keys + written.created, written.documents)
        return now.keys < least - explained

    def _back(self) -> TargetFacts:
        """The facts of a primary that answers again.

        Raises:
            TargetUnavailable: none did in time.
            TargetUnfit: it is not fit, or has lost the run's epoch.
        """
        until = time.monotonic() + self._patience.away_s
        while True:
            try:
                with client_of(self._url, self._timeouts) as client:
                    if not facts_of(client).primary:
                        raise TargetUnavailable("this is a replica now: REDIS_URL must lead on")
                    refuse_lost_epoch(client, self._keys, self._epoch, self._run)
                    return preflight(client, self._keys, replicas=self._patience.replicas)
            except TargetUnavailable:
                if time.monotonic() > until:
                    raise
            time.sleep(POLL_S)
