"""The audit: who saw or let pass what, and when; a list in the same Redis as the documents."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from store.driver_errors import driver_errors
from store.keys import Keys

KEPT = 10_000
"""How many lines are kept; older ones go with the next run."""


def append(client: redis.Redis, keys: Keys, line: dict[str, Any]) -> None:
    """Adds a line as the newest; whoever may do just that can't remove one.

    Raises:
        TargetError: Redis did not take it.
    """
    with driver_errors("LPUSH"):
        client.lpush(keys.audit, orjson.dumps(line))


def trim(client: redis.Redis, keys: Keys) -> None:
    """Removes all lines but the newest.

    Raises:
        TargetError: Redis did not do it.
    """
    with driver_errors("LTRIM"):
        client.ltrim(keys.audit, 0, KEPT - 1)


def lines(client: redis.Redis, keys: Keys, number: int) -> list[dict[str, Any]]:
    """The newest lines, the newest first.

    Raises:
        TargetError: Redis does not answer.
    """
    with driver_errors("LRANGE"):
        return [orjson.loads(text) for text in client.lrange(keys.audit, 0, number - 1)]
