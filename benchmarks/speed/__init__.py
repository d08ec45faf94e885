"""How fast profiles are loaded, beside the limit and beside others: what ``make bench`` runs.

``python -m benchmarks.speed`` starts servers of its own, fills PostgreSQL and MongoDB with
generated users, and loads them by ``prefetch run`` as users start it. In turn with that it lets
``redis-cli --pipe`` send the very same documents, which is the limit, and lets a hand-written
script, Feast and dlt do what they can of it. Read ``play`` for the order, ``ratios`` for what is
divided by what, ``prefect_cost`` for how Prefect's share is found.
"""
