"""Chooses whom the questions are about: users whom all three servers know alike."""

from __future__ import annotations

import random

import psycopg

from benchmarks.read.questions import HITS, Sample, wish_query
from core.errors import AmbiguousLogin
from core.reading import Reading
from store.client import Client
from store.keys import Keys
from store.reader import Reader
from store.search import search

USERS, WISHES = 20_000, 50

_EMAILS = """
SELECT email, customer_id FROM customer WHERE customer_id = ANY(%s) AND email IS NOT NULL
AND lower(email) IN (SELECT lower(email) FROM customer GROUP BY 1 HAVING count(*) = 1)
"""
_WISHES = """
SELECT city, category FROM customer JOIN wish_item ON _owner = customer_id
WHERE city IS NOT NULL AND category IS NOT NULL
GROUP BY 1, 2 HAVING count(DISTINCT customer_id) >= %s * 2 ORDER BY 1, 2
"""


def chosen(client: Client, reader: Reader, reading: Reading, postgresql: str) -> Sample:
    """A sample of the loaded profiles; the same for the same bank."""
    dice, keys = random.Random(1), Keys(reading.profile)
    found = client.scan_iter(match=f"{reading.index_prefix}*", count=1_000)
    users = sorted(int(user) for key in found if (user := keys.user_id_of(key)))
    users = dice.sample(users, min(USERS, len(users)))
    with psycopg.connect(postgresql) as peer:
        emails = peer.execute(_EMAILS, (users,)).fetchall()
        wishes = peer.execute(_WISHES, (HITS,)).fetchall()
    dice.shuffle(emails)
    dice.shuffle(wishes)
    return Sample(
        users,
        [(email, user) for email, user in emails[: USERS // 4] if _leads(reader, email, user)],
        [wish for wish in wishes if _is_frequent(client, reading, *wish)][:WISHES],
    )


def _leads(reader: Reader, email: str, user: int) -> bool:
    try:
        found = reader.by_email(email)
    except AmbiguousLogin:
        return False
    return found is not None and found.user_id == str(user)


def _is_frequent(client: Client, reading: Reading, city: str, category: str) -> bool:
    return search(client, reading, wish_query(city, category), 0).total >= HITS
