"""The two Redis users of the app, each with the least that it needs; made at start, removed at end.

In production an administrator makes them once: see docs/redis-users.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import redis

from devstack.folders import PROJECT

GRANTS = PROJECT / "deploy" / "grants" / "redis.acl"


def rules_of(user: str) -> str:
    """The rules of one of the users for whom deploy/grants has some."""
    users = (line.split(maxsplit=2) for line in GRANTS.read_text(encoding="utf-8").splitlines())
    return next(rules for _, name, rules in users if name == user)


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
    secrets = {f"{role}_{mark}": token_hex(24) for role in ("app_session", "app_login")}
    with redis.Redis.from_url(url) as client:
        try:
            for name, secret in secrets.items():
                rules = rules_of(name.removesuffix(f"_{mark}")).split()
                client.execute_command("ACL", "SETUSER", name, "on", f">{secret}", *rules)
            yield Urls(*(_as(url, name, secret) for name, secret in secrets.items()))
        finally:
            # A Redis that is gone has taken them along.
            with suppress(redis.RedisError):
                client.execute_command("ACL", "DELUSER", *secrets)


def _as(url: str, name: str, secret: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{secret}@{place}"))
