"""The app and its Redis before all else: what a load does to who waits for Redis alone.

On a machine of two cores a load, the product lines' databases, Redis and the app want more than
there is, and the scheduler lets one that waits for a core wait for milliseconds. Redis and the app
go first here, as if they had cores of their own; what is left of the time is for the load.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from benchmarks.threads import for_each_thread

_PRIORITY = 1


def can_be_first() -> bool:
    """Whether this user may give a process real-time priority."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


@contextmanager
def first(pids: Iterable[int]) -> Iterator[None]:
    """These processes, and the threads that they start, go before all others."""
    _schedule(pids, os.SCHED_RR, _PRIORITY)
    try:
        yield
    finally:
        _schedule(pids, os.SCHED_OTHER, 0)


def _schedule(pids: Iterable[int], policy: int, priority: int) -> None:
    for_each_thread(
        pids, lambda thread: os.sched_setscheduler(thread, policy, os.sched_param(priority))
    )
