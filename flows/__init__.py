"""Prefect flows and the command line: order, retries, concurrency, reports.

``nightly`` reads top to bottom. The steps beside it are plain functions that join the rooms:
``extraction``, ``linking``, ``guarding``, ``loading``, ``checking``.
"""

import gc

# What Prefect and the libraries of a run import lives to its end, and rows make no cycles: looking
# for garbage after every 700 new objects took a sixth of the start.
gc.set_threshold(100_000, 50, 50)
