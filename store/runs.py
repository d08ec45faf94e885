"""The reports of the last runs, in the same Redis as the documents: lost together or not at all."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from store.driver_errors import driver_errors
from store.keys import runs_key


def append(client: redis.Redis, profile: str, report: dict[str, Any], kept: int) -> None:
    """Adds a report as the newest; only the last ``kept`` stay.

    Raises:
        TargetError: Redis did not take it.
    """
    with driver_errors("LPUSH"), client.pipeline(transaction=True) as pipe:
        pipe.lpush(runs_key(profile), orjson.dumps(report))
        pipe.ltrim(runs_key(profile), 0, kept - 1)
        pipe.execute()


def last(client: redis.Redis, profile: str, number: int) -> list[dict[str, Any]]:
    """The newest reports, the newest first.

    Raises:
        TargetError: Redis does not answer.
    """
    with driver_errors("LRANGE"):
        return [orjson.loads(text) for text in client.lrange(runs_key(profile), 0, number - 1)]
