"""``prefetch`` as a process that stops itself between the GET of a fence and the EXEC behind it.

Run with BATCH WATCH ARGUMENT … as its arguments: it stops just before it sends the batch of
that number. WATCH is ``watched``, or ``unwatched`` for a planted bug: the lanes then only read the
fence, and no longer watch it.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading

from flows import command_line
from store import lanes
from store.resp import packed


def stop_before(number: int) -> None:
    """Makes the process stop itself once, with that batch composed and its fence compared."""
    numbers, send = itertools.count(1), lanes.Lane.send

    def stalled(lane: lanes.Lane, batch: lanes.Batch, refresh: bytes, found: bytes) -> None:
        if batch.writes and next(numbers) == number:
            # To this thread: one sent to the process might stop it a little later.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        send(lane, batch, refresh, found)

    lanes.Lane.send = stalled  # type: ignore[method-assign]


def take_the_watch_out() -> None:
    """Has the lanes send GET in the place of WATCH: as many replies, no protection."""
    lanes.watch_and_get = lambda key: packed("GET", key) * 2


if __name__ == "__main__":
    _, batch, watch, *sys.argv[1:] = sys.argv
    stop_before(int(batch))
    if watch == "unwatched":
        take_the_watch_out()
    command_line.main()
