"""Users who were forgotten and shall not come back: a hash of keyed hashes, never of ids."""

from __future__ import annotations

import redis

from core.errors import TargetUnfit
from core.pseudonym import pseudonym
from store.driver_errors import driver_errors
from store.keys import Keys

_MADE_WITH = b"key"
"""The hash's field that tells which key its keyed hashes were made with."""


def read_suppressed(client: redis.Redis, keys: Keys, key: bytes) -> dict[str, int]:
    """By keyed hash, the slot that each suppressed user's id falls into.

    Raises:
        TargetUnfit: the hashes were made with another key, so nobody could be told by them.
        TargetError: Redis does not answer.
    """
    with driver_errors("HGETALL"):
        found: dict[bytes, bytes] = client.hgetall(keys.suppressed)  # type: ignore[assignment]
    made_with = found.pop(_MADE_WITH, None)
    if found and made_with != _told(key):
        raise TargetUnfit(
            "users were forgotten under another PREFETCH_HASH_KEY, and can't be told now: set the "
            "variable as it was then"
        )
    return {user.decode(): int(slot) for user, slot in found.items()}


def suppress(client: redis.Redis, keys: Keys, key: bytes, user_id: str, slot: int) -> None:
    """Puts a user on the list.

    Raises:
        TargetError: Redis did not take it, or the list was made with another key.
    """
    read_suppressed(client, keys, key)
    with driver_errors("HSET"), client.pipeline(transaction=True) as pipe:
        pipe.hset(keys.suppressed, _MADE_WITH, _told(key))
        pipe.hset(keys.suppressed, pseudonym(key, user_id), slot)
        pipe.execute()


def lift(client: redis.Redis, keys: Keys, key: bytes, user_id: str) -> bool:
    """Takes a user off the list; says whether he was on it.

    Raises:
        TargetError: Redis did not take it, or the list was made with another key.
    """
    read_suppressed(client, keys, key)
    with driver_errors("HDEL"):
        return bool(client.hdel(keys.suppressed, pseudonym(key, user_id)))


def _told(key: bytes) -> bytes:
    return pseudonym(key, "prefetch:suppressed").encode()
