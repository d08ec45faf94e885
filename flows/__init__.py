"""Prefect flows: order, retries, concurrency, reports; the command line is in ``commands``.

``nightly`` reads top to bottom. The steps beside it are plain functions that join the rooms:
``extraction``, ``linking``, ``guards``, ``loading``, ``checking``.
"""

import gc

# Before Polars: where numpy is not there yet, Polars keeps a stand-in for it, and two threads that
# use that for the first time at once get a TypeError (seen with Polars 2.1.0).
import numpy  # noqa: F401

# What a run makes lives long, and rows make no cycles: with a look for garbage after every 700 new
# objects, a run of 200,000 users took a sixth longer (docs/decisions/0009).
gc.set_threshold(100_000, 50, 50)
