"""The files of deploy/grants as tests apply them: as they stand there, with passwords set after."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

ROOT = Path(__file__).resolve().parents[2]
GRANTS = ROOT / "deploy" / "grants"
PASSWORD = "granted"


def redis_users() -> dict[str, list[str]]:
    """The rules of each user in redis.acl."""
    lines = (GRANTS / "redis.acl").read_text(encoding="utf-8").splitlines()
    words = [line.split(maxsplit=2) for line in lines]
    assert all(word == "user" for word, _, _ in words)
    return {name: re.findall(r"\([^)]*\)|\S+", rules) for _, name, rules in words}


def apply_redis(url: str) -> None:
    """Makes the users, each with the password of these tests."""
    with redis.Redis.from_url(url) as client:
        for name, rules in redis_users().items():
            client.execute_command("ACL", "SETUSER", name, *rules)
            client.execute_command("ACL", "SETUSER", name, "on", f">{PASSWORD}")


def as_user(url: str, name: str) -> str:
    """The URL, for another user of the same server."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD}@{place}"))
