"""The generated users: four tables in PostgreSQL, a nested document for each user in MongoDB."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import psycopg
from pymongo import MongoClient

DATABASE, COLLECTION = "engagement", "activity"
SHARE = 20
"""One user of so many is changed: 5 %."""

_CHUNK = 10_000
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

# Without autovacuum: it would come in the middle of a measurement.
_TABLES = """
CREATE TABLE customer WITH (autovacuum_enabled = false) AS SELECT
    i AS customer_id, (ARRAY['Ms', 'Mr', 'Mx', 'Dr'])[i %% 4 + 1] AS title,
    'First' || i %% 5000 AS first_name, 'Last' || i AS last_name,
    'c' || i || '@example.com' AS email, '+1 202 ' || lpad((i %% 10000000)::text, 7, '0') AS phone,
    i %% 300 || ' Market Street' AS street, lpad((i %% 100000)::text, 5, '0') AS postcode,
    'City ' || i %% 500 AS city, (ARRAY['AT', 'CH', 'DE', 'FR', 'IT'])[i %% 5 + 1] AS country,
    (ARRAY['de', 'fr', 'it', 'en'])[i %% 4 + 1] AS language,
    date '1940-01-01' + (i %% 22000)::int AS born,
    (ARRAY['retail', 'private', 'business'])[i %% 3 + 1] AS segment, i %% 200 AS branch,
    (i %% 1000)::double precision / 8 AS score, i %% 3 = 0 AS newsletter,
    timestamptz '2026-01-01' + i * interval '1 second' AS updated_at
FROM generate_series(1, %(users)s) AS i;
CREATE TABLE account WITH (autovacuum_enabled = false) AS SELECT
    i AS account_id, i / 2 + 1 AS customer_id, 'XX' || lpad(i::text, 18, '0') AS iban,
    CASE WHEN i %% 2 = 0 THEN 'current' ELSE 'savings' END AS kind, 'EUR' AS currency,
    (i %% 1000000)::numeric(12, 2) / 100 AS balance,
    date '2001-01-01' + (i %% 9000)::int AS opened
FROM generate_series(0, 2 * %(users)s - 1) AS i;
ALTER TABLE account ALTER balance TYPE numeric(12, 2);
CREATE TABLE card WITH (autovacuum_enabled = false) AS SELECT
    i AS card_id, i * 2 AS account_id, (ARRAY['visa', 'mastercard'])[i %% 2 + 1] AS brand,
    lpad((i %% 10000)::text, 4, '0') AS last_digits,
    date '2027-01-01' + (i %% 1500)::int AS valid_until, i %% 50 = 0 AS blocked
FROM generate_series(0, %(users)s - 1) AS i;
CREATE TABLE loan WITH (autovacuum_enabled = false) AS SELECT
    i AS loan_id, i * 3 AS customer_id, (1000 + i %% 50000)::numeric(12, 2) AS principal,
    12 + i %% 348 AS months, date '2015-01-01' + (i %% 4000)::int AS granted
FROM generate_series(1, %(users)s / 3) AS i;
ALTER TABLE customer ADD PRIMARY KEY (customer_id);
ALTER TABLE account ADD PRIMARY KEY (account_id);
ALTER TABLE card ADD PRIMARY KEY (card_id);
ALTER TABLE loan ADD PRIMARY KEY (loan_id);
"""
_CHANGE = """
UPDATE customer SET city = %s, updated_at = updated_at + interval '1 day'
WHERE customer_id %% %s = %s
"""
_SHOPS = ("books", "travel", "garden", "music", "sports")


def make(postgresql: str, mongodb: str, users: int) -> None:
    """Makes users 1 to ``users`` in both databases."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute((_TABLES % {"users": users}).encode())
        connection.execute("VACUUM ANALYZE")
    documents = (document(user) for user in range(1, users + 1))
    with _mongo(mongodb) as client:
        while chunk := list(islice(documents, _CHUNK)):
            client[DATABASE][COLLECTION].insert_many(chunk, ordered=False)


def document(user: int) -> dict[str, Any]:
    """What MongoDB has of a user."""
    return {
        "_id": user,
        "preferences": {
            "theme": ("light", "dark")[user % 2],
            "channels": ["push", "mail", "letter"][: user % 3 + 1],
            "limits": {"daily": 50 * (user % 40), "abroad": user % 7 == 0},
            "version": 1,
        },
        "wish_list": [
            {"item": f"item {user * 3 + n}", "shop": _SHOPS[(user + n) % 5], "price": n + 0.25}
            for n in range(3)
        ],
        "devices": [
            {"device": f"{user:08x}{n:04x}", "system": ("android", "ios")[n], "trusted": n == 0}
            for n in range(2)
        ],
        "demographics": {
            "household": {"members": user % 6 + 1, "children": user % 4},
            "occupation": f"occupation {user % 120}",
            "income": {"band": "ABCDE"[user % 5], "known": user % 9 != 0},
        },
        "seen_at": _EPOCH + timedelta(seconds=user),
    }


def change(postgresql: str, mongodb: str, number: int) -> int:
    """Changes 5 % of the users in both databases, others each time; gives how many."""
    rest = number % SHARE
    with psycopg.connect(postgresql, autocommit=True) as connection:
        changed = connection.execute(_CHANGE, (f"Moved {number}", SHARE, rest)).rowcount
    with _mongo(mongodb) as client:
        found = client[DATABASE][COLLECTION].update_many(
            {"_id": {"$mod": [SHARE, rest]}}, {"$inc": {"preferences.version": 1}}
        )
    assert found.modified_count == changed
    return changed


def settle(postgresql: str, mongodb: str) -> None:
    """Lets both write to disk what they still hold, so that it is not done while measuring."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    with _mongo(mongodb) as client:
        client.admin.command("fsync")


def _mongo(url: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(url)
