"""The app and its Redis on one core, all else on the others: what a load does to who waits for it.

On a machine of two cores a load, the product lines' databases, Redis and the app want more than
there is, and what the app then waits for is the CPU. Apart, it waits for Redis alone, as on a
machine with cores enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from devstack.proctree import descendants


def can_be_apart() -> bool:
    """Whether there are cores enough."""
    return len(os.sched_getaffinity(0)) > 1


@contextmanager
def apart(pids: set[int]) -> Iterator[None]:
    """These processes keep the first core; this one and all others below it get the rest.

    What is started meanwhile goes where its parent is.
    """
    cores = sorted(os.sched_getaffinity(0))
    mine = os.getpid()
    everyone = {mine, *(process.pid for process in descendants(mine))}
    for pid in everyone:
        _keep(pid, set(cores[:1] if pid in pids else cores[1:]))
    try:
        yield
    finally:
        for pid in everyone:
            _keep(pid, set(cores))


def _keep(pid: int, cores: set[int]) -> None:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)
