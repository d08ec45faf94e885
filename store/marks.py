"""Small facts kept beside the documents: watermarks, and the key of the pseudonyms."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

import redis

from store.driver_errors import driver_errors
from store.keys import Keys

_KEY_BYTES = 32


def read_watermarks(client: redis.Redis, keys: Keys) -> dict[str, datetime]:
    """By source, up to when its changes are in Redis.

    Raises:
        TargetError: Redis does not answer.
    """
    with driver_errors("HGETALL"):
        found: dict[bytes, bytes] = client.hgetall(keys.watermarks)  # type: ignore[assignment]
    return {name.decode(): datetime.fromisoformat(text.decode()) for name, text in found.items()}


def write_watermarks(client: redis.Redis, keys: Keys, until: Mapping[str, datetime]) -> None:
    """Sets the watermarks of some sources; none moves back.

    Raises:
        TargetError: Redis did not take it.
    """
    known = read_watermarks(client, keys)
    for name, instant in until.items():
        if name not in known or instant > known[name]:
            with driver_errors("HSET"):
                client.hset(keys.watermarks, name, instant.isoformat())


def pseudonym_key(client: redis.Redis, keys: Keys) -> bytes:
    """The key of this profile's pseudonyms, made at the first use.

    Raises:
        TargetError: Redis does not answer.
    """
    with driver_errors("GET"):
        made: bytes | None = client.execute_command("GET", keys.pseudonyms)
    if made is None:
        # Asked first: who only reads reports need not be allowed to write.
        with driver_errors("SET"):
            client.set(keys.pseudonyms, secrets.token_bytes(_KEY_BYTES), nx=True)
            made = client.execute_command("GET", keys.pseudonyms)
    return made or b""
