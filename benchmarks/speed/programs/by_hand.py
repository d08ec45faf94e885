"""What one would write first: tables into pandas, rows into dictionaries, these into Redis.

It makes the same profiles as ``benchmarks/pipeline.yaml``, and does nothing else: it compares
nothing, checks nothing, and knows neither wrong rows nor users who left. Prints seconds and rows.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from typing import Any, cast

import pandas as pd
import redis
from pymongo import MongoClient
from sqlalchemy import create_engine

Row = dict[str, Any]
BATCH = 1_000
ADDRESS = ("street", "postcode", "city", "country")


def main() -> None:
    """Loads all users."""
    started = time.monotonic()
    engine = create_engine(os.environ["PEER_SQL_URL"])
    loaded = load(profiles(engine, MongoClient(os.environ["BENCH_ENGAGEMENT_URL"])))
    print(json.dumps({"seconds": time.monotonic() - started, "rows": loaded}))


def profiles(engine: Any, mongo: MongoClient[Row]) -> dict[int, Row]:
    """All profiles by user."""
    found: dict[int, Row] = {}
    for row in rows(engine, "customer"):
        user = row.pop("customer_id")
        identity = {name: value for name, value in row.items() if name not in ADDRESS}
        identity["address"] = {name: row[name] for name in ADDRESS}
        identity["born"] = identity["born"].isoformat()
        identity["updated_at"] = instant(identity["updated_at"])
        found[user] = {"user_id": user, "identity": identity, "accounts": [], "loans": []}
    cards = defaultdict(list)
    for row in rows(engine, "card"):
        row["valid_until"] = row["valid_until"].isoformat()
        cards[row.pop("account_id")].append(row)
    for row in rows(engine, "account"):
        row["balance"] = str(row["balance"])
        row["opened"] = row["opened"].isoformat()
        row["cards"] = cards[row["account_id"]]
        found[row.pop("customer_id")]["accounts"].append(row)
    for row in rows(engine, "loan"):
        row["principal"] = str(row["principal"])
        row["granted"] = row["granted"].isoformat()
        found[row.pop("customer_id")]["loans"].append(row)
    for document in mongo["engagement"]["activity"].find():
        user = document.pop("_id")
        document["seen_at"] = instant(document["seen_at"])
        found[user]["engagement"] = document
    return found


def rows(engine: Any, table: str) -> list[Row]:
    """All rows of a table, in order of its first column, which is its key."""
    frame = pd.read_sql(f"SELECT * FROM {table} ORDER BY 1", engine, coerce_float=False)
    return cast("list[Row]", frame.to_dict("records"))


def instant(moment: Any) -> str:
    """A time in UTC; MongoDB's times are in UTC and don't say so."""
    return str(moment.isoformat()).removesuffix("+00:00") + "Z"


def load(found: dict[int, Row]) -> int:
    """Writes all of them; gives how many."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    users = list(found)
    for first in range(0, len(users), BATCH):
        pipe = client.pipeline(transaction=False)
        for user in users[first : first + BATCH]:
            pipe.json().set(f"profile:{user}", "$", found[user])
        pipe.execute()
    return len(users)


if __name__ == "__main__":
    main()
