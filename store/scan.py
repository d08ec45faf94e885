"""Which users Redis holds documents of, and which keys have a document of nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import redis

from core.document import parse_meta
from store.driver_errors import driver_errors
from store.keys import Keys

KEYS_AT_ONCE = 1000


def users_in_redis(client: redis.Redis, keys: Keys) -> Iterator[list[str]]:
    """The users with a profile or a credential, some at a time; one may come several times.

    Raises:
        TargetError: Redis does not answer.
    """
    for found in _keys(client):
        owners = [keys.owner_of(key) for key in found]
        users = [user for user in owners if user is not None]
        if users:
            yield users


def remove_misplaced(client: redis.Redis, keys: Keys, digests: Collection[str]) -> int:
    """Removes documents with these digests from keys that are nobody's; says how many.

    A key that was damaged on its way to Redis may have become one that no user id encodes to:
    no run would ever write or sweep it, and a search would find the document.

    Raises:
        TargetError: Redis does not answer.
    """
    removed = 0
    for found in _keys(client):
        strays = [key for key in found if keys.is_stray(key)]
        for key in strays:
            with driver_errors("JSON.GET"):
                text = client.execute_command("JSON.GET", key, "_meta")
                meta = parse_meta(text or b"")
                if meta is not None and meta.digest in digests:
                    removed += int(client.delete(key))
    return removed


def _keys(client: redis.Redis) -> Iterator[list[bytes]]:
    cursor = 0
    while True:
        with driver_errors("SCAN"):
            cursor, found = client.scan(cursor, count=KEYS_AT_ONCE)
        yield [key for key in found if isinstance(key, bytes)]
        if cursor == 0:
            return


def present(client: redis.Redis, keys: Keys, user_ids: Sequence[str]) -> list[str]:
    """Those of the users who have a profile or a credential in Redis.

    Raises:
        TargetError: Redis does not answer.
    """
    there: list[str] = []
    for start in range(0, len(user_ids), KEYS_AT_ONCE):
        chunk = user_ids[start : start + KEYS_AT_ONCE]
        with driver_errors("EXISTS"), client.pipeline(transaction=False) as pipe:
            for user_id in chunk:
                pipe.exists(keys.profile(user_id), keys.credential(user_id))
            there += [user for user, found in zip(chunk, pipe.execute(), strict=True) if found]
    return there
