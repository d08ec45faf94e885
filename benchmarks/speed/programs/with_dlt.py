"""dlt: the table of customers through ``sql_table`` to a destination that pipelines JSON.SET.

In dlt's fastest way for such a table: Arrow from the database, Parquet to the destination. Prints
seconds and rows.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import dlt
import redis
from dlt.sources.sql_database import sql_table

BATCH = 1_000
CLIENT = redis.Redis.from_url(os.environ["REDIS_URL"])
LOADED: list[int] = []


@dlt.destination(batch_size=BATCH, loader_file_format="parquet", name="redis_json")
def redis_json(items: Any, _table: Any) -> None:
    """Writes some rows."""
    pipe = CLIENT.pipeline(transaction=False)
    for row in items.to_pylist():
        document = json.dumps(row, default=str)
        pipe.execute_command("JSON.SET", f"customer:{row['customer_id']}", "$", document)
    LOADED.append(len(pipe.execute()))


def main() -> None:
    """Loads the whole table."""
    started = time.monotonic()
    pipeline = dlt.pipeline(pipeline_name="bench", destination=redis_json)
    url = os.environ["PEER_SQL_URL"]
    pipeline.run(sql_table(credentials=url, table="customer", backend="pyarrow"))
    print(json.dumps({"seconds": time.monotonic() - started, "rows": sum(LOADED)}))


if __name__ == "__main__":
    main()
