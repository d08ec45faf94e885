"""Reads whole sections of stored profiles, to carry them forward."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import redis

from store.driver_errors import driver_errors
from store.keys import Keys

KEYS_AT_ONCE = 100
"""100 keys a question, so that other clients do not wait long for one."""


def stored_sections(
    client: redis.Redis, keys: Keys, user_ids: Sequence[str], sections: Sequence[str]
) -> dict[str, list[str | None]]:
    """By section, the JSON text in each user's profile; None where it has none.

    Raises:
        TargetError: Redis does not answer.
    """
    found: dict[str, list[str | None]] = {section: [] for section in sections}
    for start in range(0, len(user_ids), KEYS_AT_ONCE):
        chunk = [keys.profile(user_id) for user_id in user_ids[start : start + KEYS_AT_ONCE]]
        with driver_errors("JSON.MGET"), client.pipeline(transaction=False) as pipe:
            for section in sections:
                pipe.execute_command("JSON.MGET", *chunk, f'$["{section}"]')
            for section, replies in zip(sections, pipe.execute(), strict=True):
                found[section] += map(_only, replies)
    return found


def _only(reply: bytes | None) -> str | None:
    """The one value that a path found, in the form in which documents are written."""
    values = orjson.loads(reply) if reply else []
    return orjson.dumps(values[0]).decode() if values else None
