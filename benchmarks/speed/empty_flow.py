"""A flow with all that Prefect sees of a run, and nothing to do; prints its seconds."""

from __future__ import annotations

import sys
import time

from prefect import flow, get_run_logger

from flows.progress import Progress
from flows.quiet_tasks import quiet

UPDATES = 20
"""Of the progress: a run makes one for every 5 %."""


@quiet("nothing {number}")
def nothing(number: int) -> None:
    """Does nothing, and tells it."""
    get_run_logger().info("nothing %d", number)


@flow(name="empty", persist_result=False)
def empty(task_runs: int) -> float:
    """Seconds that so many task runs took, one after the other."""
    started = time.perf_counter()
    progress = Progress(UPDATES)
    for number in range(UPDATES):
        progress.tell(0, number + 1)
    for number in range(task_runs):
        nothing(number)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(empty(int(sys.argv[1])))
