"""Whether keys may vanish by themselves: a TTL on a document is always a mistake."""

from __future__ import annotations

import re

from store.keys import Keys
from store.wire import Wire

_EXPIRES = re.compile(rb"expires=(\d+)")
MANY_BUCKETS = 1024


def may_expire(wire: Wire, keys: Keys) -> bool:
    """Whether this Redis holds keys with a TTL beside our own signs of life.

    One question for all keys; where it says yes, each must be asked.
    """
    if keys.buckets > MANY_BUCKETS:
        return True
    ours = [keys.opening, *(keys.alive(bucket) for bucket in range(keys.buckets))]
    *_, (known, keyspace) = wire.look_up(
        ("MULTI",), ("EXISTS", *ours), ("INFO", "keyspace"), ("EXEC",)
    )
    return sum(map(int, _EXPIRES.findall(keyspace))) > int(known)
