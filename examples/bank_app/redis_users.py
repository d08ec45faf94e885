"""The two Redis users of the app, each with the least that it needs; made at start, removed at end.

In production an administrator makes them once: see docs/reading-profiles.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import redis

SESSION = (
    "-@all ~profile:* ~idx:demo_bank ~prefetch:demo_bank:floor:* ~prefetch:demo_bank:views "
    "+json.get +mget +zrevrangebyscore +ft.search"
)
LOGIN = "-@all ~credential:* +json.get"


@dataclass(frozen=True)
class Urls:
    """Where the app reads, and as whom."""

    profiles: str = field(repr=False)
    credentials: str = field(repr=False)


@contextmanager
def redis_users(url: str) -> Iterator[Urls]:
    """Users with new passwords, for as long as the app runs.

    Args:
        url: of a Redis user who may make others.

    Raises:
        redis.RedisError: Redis is down, or refuses.
    """
    mark = token_hex(4)
    secrets = {f"app_session_{mark}": token_hex(24), f"app_login_{mark}": token_hex(24)}
    with redis.Redis.from_url(url) as client:
        try:
            for (name, secret), rules in zip(secrets.items(), (SESSION, LOGIN), strict=True):
                client.execute_command("ACL", "SETUSER", name, "on", f">{secret}", *rules.split())
            yield Urls(*(_as(url, name, secret) for name, secret in secrets.items()))
        finally:
            # A Redis that is gone has taken them along.
            with suppress(redis.RedisError):
                client.execute_command("ACL", "DELUSER", *secrets)


def _as(url: str, name: str, secret: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{secret}@{place}"))
