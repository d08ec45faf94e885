"""The examples of docs/reading-profiles.md, run as they stand there."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import argon2
import orjson
import pytest
from click.testing import CliRunner

from core.document import Meta, digest, sealed
from core.refusal import Refusal
from devstack import RedisServer
from flows.command_line import main
from store.client import client_of
from store.freshness import keep_view
from store.index import create
from store.index_schema import IndexSchema
from store.keys import Keys
from store.reader import reading_of
from tests.security import grants

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reading-profiles.md").read_text(encoding="utf-8")
CONFIG = ROOT / "examples/demo_bank/pipeline.yaml"
HASH = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("correct horse")


def fields_of(user: int, name: str, email: str, *, locked: bool = False) -> dict[str, Any]:
    return {
        "user_id": user,
        "identity": {"name": name, "email": email, "address": {"city": "Springfield"}},
        "auth": {"locked": locked, "closed": False},
        "roles": ["customer"],
        "permissions": ["accounts.read", "payments.create"],
        "features": [],
        "wish_list": [{"title": "a piano", "category": "leisure", "price": "1200.00"}],
        "preferences": {"topics": ["offers"]},
    }


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("reading") / "redis").start() as running:
        yield running


@pytest.fixture
def profiles(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The users of the page, and the Redis users that it names."""
    monkeypatch.chdir(ROOT)
    reading = reading_of(CONFIG)
    keys = Keys(reading.profile)
    with client_of(server.url) as client:
        client.flushall()
        keep_view(client, keys, 5, datetime.now(UTC) - timedelta(hours=2))
        for user in (
            fields_of(4711, "Ada Example", "ada@bank.example"),
            fields_of(4712, "Bo Example", "bo@bank.example", locked=True),
            fields_of(4713, "Cy Example", "shared@bank.example"),
            fields_of(4714, "Di Example", "shared@bank.example"),
        ):
            user_id = str(user["user_id"])
            secret = {"user_id": user["user_id"], "auth": {"password_hash": HASH}}
            for key, fields in ((keys.profile(user_id), user), (keys.credential(user_id), secret)):
                body = orjson.dumps(fields)[:-1]
                text = sealed(body, Meta(1, 5, digest(body, 1)))
                client.execute_command("JSON.SET", key, "$", text)
        create(client, keys, IndexSchema(reading))
    grants.apply_redis(server.url)
    monkeypatch.setenv("PROFILES_URL", grants.as_user(server.url, "app_session"))
    monkeypatch.setenv("CREDENTIALS_URL", grants.as_user(server.url, "app_login"))


def test_examples(profiles: None) -> None:
    examples = doctest.DocTestParser().get_doctest(
        "".join(blocks("pycon")), {}, "reading-profiles.md", None, 0
    )
    assert len(examples.examples) > 30
    told: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(examples, out=told.append)
    for name in ("reader", "strict", "login"):
        examples.globs.get(name) and examples.globs[name].close()
    assert failed.failed == 0, "".join(told)


def test_commands(profiles: None, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORE", "CARDS", "LENDING"):
        monkeypatch.setenv(f"DEMO_{name}_URL", "sqlite://")
    monkeypatch.setenv("DEMO_ENGAGEMENT_URL", "mongodb://nowhere/none")
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("PREFETCH_CONFIG", str(CONFIG))
    lines = [line for block in blocks("console") for line in block.splitlines()]
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("$ prefetch ")]
    assert len(commands) == 6
    for command in commands:
        ended = CliRunner().invoke(main, command)
        assert ended.exit_code == 0, (command, ended.output)
    assert "1 found" in ended.stderr
    assert "ada" not in ended.stdout


def test_every_reason_is_explained() -> None:
    [table] = [part for part in PAGE.split("\n\n") if part.startswith("| reason |")]
    assert set(re.findall(r"`(\w+)`", table)) - {"max_age"} == {str(reason) for reason in Refusal}
