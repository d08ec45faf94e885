"""The search index from outside: the nightly run looks after it, commands do so by hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from conftest import ROOT

from core.document import Meta, digest, sealed
from core.errors import NotLoaded
from core.pipeline_file import load_reading
from devstack import RedisServer
from flows.command_line import main
from store.client import client_of
from store.index_schema import IndexSchema
from store.index_state import state_of
from store.keys import Keys
from store.reader import Reader

SAMPLE = ROOT / "examples/sample_analytics/pipeline.yaml"
INDEX = """
index:
  fields:
    - {name: email, type: tag, path: $.email, unique: true}
    - {name: name, type: text, path: $.name}
    - {name: tier, type: tag, path: "$.tiers[*].tier"}
    - {name: limit, type: numeric, path: "$.accounts[*].limit"}
    - {name: product, type: tag, path: "$.accounts[*].products[*]"}
"""
MORE = "    - {name: active, type: tag, path: $.active}\n    - {name: id, type: tag, path: _id}\n"
SOURCES = ("SAMPLE_CORE_URL", "SAMPLE_LOYALTY_URL", "SAMPLE_ENGAGEMENT_URL")
USERS = 12


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "pipeline.yaml"
    file.write_text(SAMPLE.read_text(encoding="utf-8") + INDEX, encoding="utf-8")
    return file


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Whatever is logged, wherever Prefect sends it."""
    messages: list[str] = []
    made = logging.getLogRecordFactory()

    def noted(*args: Any, **more: Any) -> logging.LogRecord:
        record = made(*args, **more)
        messages.append(record.getMessage())
        return record

    logging.setLogRecordFactory(noted)
    yield messages
    logging.setLogRecordFactory(made)


def test_the_nightly_run_looks_after_the_index(
    run: Callable[..., dict[str, Any]],
    target: RedisServer,
    sample_analytics: Mapping[str, str],
    config: Path,
    logged: list[str],
) -> None:
    assert run(config, sample_analytics)["indexed"] == 500
    assert any("is missing, so nobody can log in by it" in text for text in logged)
    reading, client = load_reading(config, {}), client_of(target.url)
    first = state_of(client, IndexSchema(reading))
    assert (first.current, first.documents, first.missing) == (True, 500, 0)
    with Reader(target.url, reading) as reader:
        stored = reader.require("5ca4bbcea2dd94ee58162a68")
        found = reader.by_email(stored["email"].upper())
        assert found is not None
        assert found.user_id == stored.user_id
        assert found.as_of is not None
    [(view, epoch)] = client.zrange(Keys(reading.profile).views, 0, -1, withscores=True)
    assert (view.partition(b" ")[0], epoch) == (b"1", 1.0)

    logged.clear()
    config.write_text(config.read_text() + MORE)
    # A key that is nobody's, so that no sweep takes it away.
    client.execute_command("JSON.SET", "profile:a b", "$", '{"accounts":[{"limit":[[]]}]}')
    with pytest.raises(Exception, match="1 of 501 profiles can't be indexed"):
        run(config, sample_analytics)
    assert any("is not as the pipeline file says" in text for text in logged)
    assert state_of(client, IndexSchema(reading)) == first.__class__(
        **{**vars(first), "profiles": 501, "failures": 1, "last_failure": None}
    )
    client.delete("profile:a b")
    assert run(config, sample_analytics)["indexed"] == 500
    second = state_of(client, IndexSchema(load_reading(config, {})))
    assert (second.current, second.documents) == (True, 500)
    client.execute_command("JSON.SET", "profile:a b", "$", '{"active":1}')
    with pytest.raises(NotLoaded, match="1 not_indexed"):
        run(config, sample_analytics)
    client.close()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("index_commands") / "redis").start() as server:
        yield server


@pytest.fixture
def prefetch(
    redis_server: RedisServer, config: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """The command on a Redis with some profiles, whose sources nobody asks."""
    with client_of(redis_server.url) as client:
        client.flushall()
        for user in range(USERS):
            fields = {
                "user_id": str(user),
                "_id": str(user),
                "name": f"Ada {user}",
                "email": f"ada{user}@bank.example",
                "active": user % 2 == 0,
                "accounts": [{"limit": 9000 + user, "products": ["Derivatives"]}],
            }
            body = orjson.dumps(fields)[:-1]
            text = sealed(body, Meta(1, 1, digest(body, 1)))
            client.execute_command("JSON.SET", f"profile:{user}", "$", text)
    for name in SOURCES:
        monkeypatch.setenv(name, "mongodb://nowhere/none" if "ENGAGE" in name else "sqlite://")
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("PREFETCH_CONFIG", str(config))
    return lambda *arguments: CliRunner().invoke(main, arguments)


def good(ended: Result) -> Any:
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_by_hand(prefetch: Callable[..., Result], config: Path) -> None:
    for command in (["index", "info"], ["search", "*"]):
        ended = prefetch(*command)
        assert (ended.exit_code, ended.stdout) == (4, "")
        assert "`prefetch index create`" in ended.stderr
    made = prefetch("index", "create")
    assert made.exit_code == 0
    assert f"{USERS} of {USERS} profiles are indexed" in made.stdout
    assert "indexing" in made.stderr
    told = good(prefetch("index", "info", "--json"))
    assert (told["current"], told["documents"], told["missing"], told["failures"]) == (
        True, USERS, 0, 0,
    )  # fmt: skip
    assert good(prefetch("index", "create", "--json")) == told
    built = good(prefetch("index", "rebuild", "--json"))
    assert built["version"] != told["version"]
    config.write_text(config.read_text() + MORE)
    assert "another than in the file" in prefetch("index", "info").stdout
    refused = prefetch("index", "create")
    assert (refused.exit_code, "prefetch index rebuild" in refused.stderr) == (4, True)
    built = good(prefetch("index", "rebuild", "--json"))
    assert prefetch("index", "drop").exit_code == 1
    dropped = prefetch("index", "drop", "--yes")
    assert (dropped.exit_code, dropped.stdout) == (0, f"dropped: {built['version']}\n")
    assert prefetch("index", "drop", "--yes").stdout == "there was none\n"


def test_what_cannot_be_indexed_is_told(
    prefetch: Callable[..., Result], redis_server: RedisServer
) -> None:
    with client_of(redis_server.url) as client:
        client.execute_command("JSON.SET", "profile:3", "$.name", "5")
    refused = prefetch("index", "create")
    assert refused.exit_code == 4
    assert f"1 of {USERS} profiles can't be indexed (Invalid JSON type: Numeric" in refused.stderr
    made = prefetch("index", "create", "--accept-failures", "1")
    assert made.exit_code == 0
    assert f"{USERS - 1} of {USERS} profiles are indexed" in made.stdout
    assert "1 times a document could not be indexed: Invalid JSON type" in made.stdout


def test_search_masks_what_is_personal(prefetch: Callable[..., Result]) -> None:
    prefetch("index", "create")
    found = good(prefetch("search", "@name:ada @limit:[9002 +inf]", "--limit", "3", "--json"))
    assert (found["total"], len(found["profiles"])) == (USERS - 2, 3)
    for profile in found["profiles"]:
        assert profile["name"] == profile["email"] == "•••"
        assert profile["active"] is (int(profile["user_id"]) % 2 == 0)
    ended = prefetch("search", "@product:{Derivatives}", "--limit", "2")
    assert (ended.exit_code, len(ended.stdout.splitlines())) == (0, 2)
    assert "ada" not in ended.stdout.lower()
    assert ended.stderr == f"{USERS} found, the first 2 shown\n"
    wrong = prefetch("search", "@nothing:{x}")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "no field 'nothing'" in wrong.stderr
    broken = prefetch("search", "@name:(secret")
    assert (broken.exit_code, "mistake" in broken.stderr) == (2, True)
    assert "secret" not in broken.stderr


def test_a_file_without_an_index(prefetch: Callable[..., Result]) -> None:
    for command in (["index", "info"], ["search", "*"]):
        ended = prefetch(*command, "--config", str(SAMPLE))
        assert (ended.exit_code, "declares no `index`" in ended.stderr) == (2, True)
