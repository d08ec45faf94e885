"""Reads one whole profile, for people; the apps' reader is another."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from core.document import opened
from core.errors import TargetUnfit
from store.driver_errors import driver_errors
from store.keys import Keys


def lookup(client: redis.Redis, keys: Keys, user_id: str) -> dict[str, Any] | None:
    """A user's profile; None where there is none.

    Raises:
        TargetUnfit: the document does not match its digest, or is another user's.
        TargetError: Redis does not answer.
    """
    text = _text(client, keys, user_id)
    if text is None:
        return None
    document = opened(text)
    if document is None or not document.sound:
        raise TargetUnfit("the profile does not match its own digest: load it again")
    found: dict[str, Any] = orjson.loads(text)
    if str(found.get("user_id")) != user_id:
        raise TargetUnfit("the profile belongs to another user: load it again")
    return found


def stored(client: redis.Redis, keys: Keys, user_id: str) -> dict[str, Any] | None:
    """A user's profile as it stands there, whatever its state; None where there is none.

    Raises:
        TargetError: Redis does not answer.
    """
    text = _text(client, keys, user_id)
    found = None if text is None else orjson.loads(text)
    return found if isinstance(found, dict) else None


def _text(client: redis.Redis, keys: Keys, user_id: str) -> bytes | None:
    with driver_errors("JSON.GET"):
        text: bytes | None = client.execute_command("JSON.GET", keys.profile(user_id))
    return text
