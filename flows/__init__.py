"""Prefect flows: order, retries, concurrency, reports; the command line is in ``commands``.

``nightly`` reads top to bottom. The steps beside it are plain functions that join the rooms:
``extraction``, ``linking``, ``guards``, ``loading``, ``checking``.
"""

import gc
import signal
import sys

# Before Polars: where numpy is not there yet, Polars keeps a stand-in for it, and two threads that
# use that for the first time at once get a TypeError (seen with Polars 2.1.0).
import numpy  # noqa: F401
import polars  # noqa: F401

# Polars' handler restarts what Ctrl-C interrupts: with it, a run that waits for its threads would
# hear of it when they are done (seen with Polars 2.1.0).
signal.siginterrupt(signal.SIGINT, True)

# What a run makes lives long, and rows make no cycles: with a look for garbage after every 700 new
# objects, a run of 200,000 users took a sixth longer (docs/decisions/0009).
gc.set_threshold(100_000, 50, 50)

# Threads that come back from Arrow, Polars or a socket wait this long (seconds) for one at work in
# Python: with the usual 0.005, a run took a twentieth longer (docs/decisions/0015).
sys.setswitchinterval(0.001)
