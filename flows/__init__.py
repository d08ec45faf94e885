"""Prefect flows and the command line: order, retries, concurrency, reports.

``nightly`` reads top to bottom. The steps beside it are plain functions that join the rooms:
``extraction``, ``linking``, ``guards``, ``loading``, ``checking``.
"""

import gc

# What a run makes lives long, and rows make no cycles: with a look for garbage after every 700 new
# objects, a run of 200,000 users took a sixth longer (docs/decisions/0009).
gc.set_threshold(100_000, 50, 50)
