"""``make demo``: the whole product in a few minutes, on servers and data of its own.

``python -m devstack.demo`` starts the servers, makes a bank, runs ``prefetch run`` three times and
holds every figure against the bank's own list. Read ``play`` for the order of it.
"""
