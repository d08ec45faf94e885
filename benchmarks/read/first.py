"""The app and its Redis before all else: what a load does to who waits for Redis alone.

On a machine of two cores a load, the product lines' databases, Redis and the app want more than
there is, and the scheduler lets one that waits for a core wait for milliseconds. Redis and the app
go first here, as if they had cores of their own; what is left of the time is for the load.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
def first(server: int, client: int) -> Iterator[None]:
    """These processes, and the threads that the client starts, go before all others.

    What the server forks does not: the search module's garbage collection, with the same priority
    on the same core, would keep the server waiting for a whole turn of 100 ms.
    """
    _schedule(server, os.SCHED_RR | os.SCHED_RESET_ON_FORK, _PRIORITY)
    _schedule(client, os.SCHED_RR, _PRIORITY)
    try:
        yield
    finally:
        for process in (server, client):
            _schedule(process, os.SCHED_OTHER, 0)


def _schedule(process: int, policy: int, priority: int) -> None:
    for_each_thread(
        {process}, lambda thread: os.sched_setscheduler(thread, policy, os.sched_param(priority))
    )
