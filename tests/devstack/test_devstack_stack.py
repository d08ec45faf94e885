"""The stack as a unit: real work on each server, nothing left behind, URLs that replace."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pymysql
import pytest
import redis

from devstack import (
    ALL,
    DATABASES,
    DevstackError,
    NotInstalledError,
    RedisServer,
    ServerStartError,
    Stack,
)
from devstack import mariadb as mariadb_module
from devstack.postgres import PostgresServer
from devstack.proctree import ProcessId, identify, wait_gone
from tests.programs import url_of_mariadb


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack") / "a folder with spaces"
    with Stack.start(folder, DATABASES, environ={}) as running:
        yield running


def test_postgres_answers_queries(stack: Stack) -> None:
    with psycopg.connect(stack.urls["postgres"]) as connection:
        connection.execute("CREATE TABLE client (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO client VALUES (1, 'Zoë')")
        assert connection.execute("SELECT name FROM client").fetchall() == [("Zoë",)]
        version = connection.execute("SHOW server_version_num").fetchone()
    assert version is not None
    assert int(version[0]) >= 180000


def test_postgres_gives_one_snapshot_to_several_statements(stack: Stack) -> None:
    url = stack.urls["postgres"]
    with psycopg.connect(url) as reader, psycopg.connect(url, autocommit=True) as writer:
        writer.execute("CREATE TABLE loan (id int)")
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        assert reader.execute("SELECT count(*) FROM loan").fetchone() == (0,)
        writer.execute("INSERT INTO loan VALUES (1)")
        assert reader.execute("SELECT count(*) FROM loan").fetchone() == (0,)


def test_mongodb_reads_in_a_snapshot_session(stack: Stack) -> None:
    with pymongo.MongoClient[dict[str, object]](stack.urls["mongodb"]) as client:
        cards = client["bank"]["cards"]
        cards.insert_one({"_id": 1, "kind": "gold"})
        with client.start_session(snapshot=True) as session:
            assert cards.count_documents({}, session=session) == 1
            cards.insert_one({"_id": 2, "kind": "junior"})
            assert cards.count_documents({}, session=session) == 1
        assert cards.count_documents({}) == 2


def test_redis_has_json_and_search(stack: Stack) -> None:
    with redis.Redis.from_url(stack.urls["redis"], decode_responses=True) as client:
        client.execute_command(
            *("FT.CREATE", "idx", "ON", "JSON", "PREFIX", "1", "profile:"),
            *("SCHEMA", "$.city", "AS", "city", "TAG"),
        )
        client.execute_command("JSON.SET", "profile:1", "$", '{"city": "Praha"}')
        assert client.execute_command("JSON.GET", "profile:1", "$.city") == '["Praha"]'
        found = client.ft("idx").search("@city:{Praha}")
    assert "profile:1" in str(found)


def test_redis_keeps_nothing_on_disk_and_evicts_nothing(stack: Stack) -> None:
    with redis.Redis.from_url(stack.urls["redis"], decode_responses=True) as client:
        chosen = {
            name: client.config_get(name)[name]
            for name in ("save", "appendonly", "maxmemory-policy", "crash-log-enabled")
        }
    assert chosen == {
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "crash-log-enabled": "no",
    }


def test_mariadb_answers_queries(stack: Stack) -> None:
    url = url_of_mariadb(stack)
    port = stack.servers["mariadb"].port
    assert url == f"mysql+pymysql://root@127.0.0.1:{port}/"
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE bank")
        cursor.execute("CREATE TABLE bank.card (name text)")
        cursor.execute("INSERT INTO bank.card VALUES (%s)", ("žluť 💳",))
        cursor.execute("SELECT name FROM bank.card")
        assert cursor.fetchall() == (("žluť 💳",),)


def test_data_folders_are_private(stack: Stack) -> None:
    for server in stack.servers.values():
        for folder in (server.folder, server.data):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.log.stat().st_mode) == 0o600


def test_environ_names_every_server(stack: Stack) -> None:
    environ = stack.environ()
    assert environ["PREFETCH_DEV_REDIS_URL"] == stack.urls["redis"]
    assert len(environ) == len(stack.urls)


def test_two_stacks_run_side_by_side(stack: Stack, tmp_path: Path) -> None:
    with Stack.start(tmp_path, ("redis", "postgres"), environ={}) as other:
        assert other.urls["redis"] != stack.urls["redis"]
        with psycopg.connect(other.urls["postgres"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(stack.urls["redis"]) as client:
        assert client.ping()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with Stack.start(tmp_path / "s", DATABASES, environ={}) as stack:
        servers = list(stack.servers.values())
        processes = [identify(server.pid) for server in servers]
        assert all(processes)
    assert [identify(process.pid) for process in processes if process] == [None] * len(servers)
    left = sorted(path.name for path in (tmp_path / "s").rglob("*") if path.is_file())
    assert left == ["server.log"] * len(servers)


def test_a_url_in_the_environment_replaces_the_server(tmp_path: Path) -> None:
    environ = {
        "PREFETCH_DEV_POSTGRES_URL": "postgresql://bank.example/core",
        "PREFETCH_DEV_MONGODB_URL": "mongodb://bank.example/",
        "PREFETCH_DEV_MARIADB_URL": "mysql+pymysql://bank.example/",
        "PREFECT_API_URL": "http://bank.example/api",
    }
    with Stack.start(tmp_path, ALL, environ) as stack:
        assert list(stack.servers) == ["redis"]
        assert stack.urls["postgres"] == "postgresql://bank.example/core"
        assert stack.environ() == {**environ, "PREFETCH_DEV_REDIS_URL": stack.urls["redis"]}


def test_addresses_from_outside_are_not_in_the_repr(tmp_path: Path) -> None:
    url = {"PREFETCH_DEV_REDIS_URL": "redis://:hush@bank.example/0"}
    with Stack.start(tmp_path, ["redis"], url) as stack:
        assert "hush" not in repr(stack)


def test_a_failing_start_shows_the_log_and_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    start = RedisServer.start

    def noted(self: RedisServer) -> RedisServer:
        server = start(self)
        pids.append(server.pid)
        return server

    monkeypatch.setattr(RedisServer, "start", noted)
    monkeypatch.setattr("devstack.postgres.SETTINGS", {"no_such_setting": "1"})
    with pytest.raises(ServerStartError) as caught:
        Stack.start(tmp_path, ("redis", "postgres"), environ={})
    assert "exit code" in str(caught.value)
    assert 'unrecognized configuration parameter "no_such_setting"' in str(caught.value)
    assert [identify(pid) for pid in pids] == [None]


def test_a_start_that_is_cut_between_two_servers_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, submitted = ThreadPoolExecutor.submit, []
    seen: list[ProcessId] = []

    def cut(self: ThreadPoolExecutor, work: Any, *given: Any) -> Any:
        if work.__name__ == "start":
            submitted.append(work)
        if len(submitted) == 2:
            submitted.append("over")
            raise KeyboardInterrupt
        return submit(self, work, *given)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", cut)
    with pytest.raises(KeyboardInterrupt):
        Stack.start(
            tmp_path, ["redis", "mongodb"], environ={}, record=lambda _, pid: seen.append(pid)
        )
    assert wait_gone(seen, 20)
    assert not list(tmp_path.glob("*/data"))


def test_a_missing_optional_server_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_module, "ADMIN_FOLDERS", ())
    monkeypatch.setenv("PATH", os.devnull)
    with Stack.start(tmp_path, ["mariadb"], environ={}) as stack:
        assert stack.urls == {}
        assert "apt-get install" in stack.skipped["mariadb"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_wheel_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstack.mongodb.WHEEL", "no-such-wheel")
    with pytest.raises(NotInstalledError, match="pip install no-such-wheel"):
        Stack.start(tmp_path, ["mongodb"], environ={})


def test_a_port_in_use_is_refused(stack: Stack, tmp_path: Path) -> None:
    taken = stack.servers["redis"].port
    with pytest.raises(DevstackError, match=f"port {taken} on 127.0.0.1 is in use"):
        PostgresServer(tmp_path, port=taken).start()
