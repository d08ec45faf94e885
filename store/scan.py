"""Which users Redis holds documents of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import redis

from store.driver_errors import driver_errors
from store.keys import Keys

KEYS_AT_ONCE = 1000


def users_in_redis(client: redis.Redis, keys: Keys) -> Iterator[list[str]]:
    """The users with a profile or a credential, some at a time; one may come several times.

    Raises:
        TargetError: Redis does not answer.
    """
    cursor = 0
    while True:
        with driver_errors("SCAN"):
            cursor, found = client.scan(cursor, count=KEYS_AT_ONCE)
        owners = [keys.owner_of(key) for key in found if isinstance(key, bytes)]
        users = [user for user in owners if user is not None]
        if users:
            yield users
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
