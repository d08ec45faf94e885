"""How long reading a profile takes: what ``make bench-read`` runs.

``python -m benchmarks.read`` starts servers of its own, makes a demo bank, loads it, and asks the
same questions of Redis, through the product's ``Reader``, of PostgreSQL and of MongoDB: idle,
while ``prefetch run`` writes every document anew, and while the search index is rebuilt.
Read ``play`` for the order of it, ``client`` for how time is counted.
"""
