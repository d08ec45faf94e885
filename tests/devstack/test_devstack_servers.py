"""Single servers as tests need them: crashed, frozen, restarted, and in other roles."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pymongo
import pymysql
import pytest
import redis
from pymongo.errors import OperationFailure
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import (
    DevstackError,
    MariaDBServer,
    MongoServer,
    PostgresServer,
    RedisServer,
    Server,
    ServerStartError,
    postgres,
)
from devstack.ports import is_free
from tests.programs import started

NO_RETRY = Retry(NoBackoff(), 0)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return once the condition holds; fail after that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kind", [PostgresServer, MongoServer, RedisServer, MariaDBServer])
def test_a_killed_server_comes_back_on_its_port(kind: type[Server], tmp_path: Path) -> None:
    with started(kind(tmp_path)) as server:
        url, pid = server.url, server.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not server.running)
        server.kill()
        server.start()
        assert (server.url, server.running) == (url, True)
        assert server.pid != pid
    assert is_free(server.port)


def test_a_stopped_postgres_keeps_its_rows(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
        server.stop()
        assert not server.running
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (42,)
    assert not server.data.exists()


def test_a_killed_postgres_loses_no_commit(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "postgres") as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
        server.kill()
        with psycopg.connect(server.start().url) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (42,)


def test_a_killed_mariadb_loses_no_commit(tmp_path: Path) -> None:
    with started(MariaDBServer(tmp_path)) as server:
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE mysql.kept (x int) ENGINE=InnoDB")
            cursor.execute("INSERT INTO mysql.kept VALUES (42)")
            connection.commit()
            server.kill()
        server.start()
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT x FROM mysql.kept")
            assert cursor.fetchall() == ((42,),)


def test_a_killed_postgres_takes_its_backends_along(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server, psycopg.connect(server.url) as connection:
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_postgres_takes_settings(tmp_path: Path) -> None:
    settings = {"max_connections": "7", "statement_timeout": "50ms"}
    with (
        PostgresServer(tmp_path, settings=settings) as server,
        psycopg.connect(server.url) as connection,
    ):
        assert connection.execute("SHOW max_connections").fetchone() == ("7",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")


def test_a_standby_follows_its_primary(tmp_path: Path) -> None:
    with (
        PostgresServer(tmp_path / "primary") as primary,
        PostgresServer(tmp_path / "standby", standby_of=primary) as standby,
        psycopg.connect(primary.url, autocommit=True) as writer,
        psycopg.connect(standby.url, autocommit=True) as reader,
    ):
        assert reader.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        writer.execute("CREATE TABLE copied AS SELECT 1 AS x")
        seen = "SELECT to_regclass('copied') IS NOT NULL"
        wait_until(lambda: reader.execute(seen).fetchone() == (True,))


def test_postgres_works_by_either_launcher_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "unshare" else which(name))
    postgres.unprivileged.cache_clear()
    try:
        with PostgresServer(tmp_path) as server, psycopg.connect(server.url) as connection:
            assert server.prefix()[:1] == (["setpriv"] if os.geteuid() == 0 else [])
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not server.data.exists()
    finally:
        postgres.unprivileged.cache_clear()


def test_a_frozen_server_accepts_but_never_answers(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path, modules=False) as server,
        redis.Redis(port=server.port, socket_timeout=0.2, retry=NO_RETRY) as client,
    ):
        assert client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()
        server.pause()
    assert not server.running


def test_plain_redis_knows_no_json(tmp_path: Path) -> None:
    with RedisServer(tmp_path, modules=False, extra_args=["--maxclients", "123"]) as server:
        assert server.cli("config", "get", "maxclients").split() == ["maxclients", "123"]
        with pytest.raises(DevstackError, match="unknown command"):
            server.cli("JSON.SET", "k", "$", "1")


def test_redis_with_a_password_and_a_replica(tmp_path: Path) -> None:
    password = 'quote" and \\ and ü'
    with (
        RedisServer(tmp_path / "a", password=password) as primary,
        RedisServer(tmp_path / "b", password=password, replica_of=primary) as replica,
        redis.Redis(port=primary.port, retry=NO_RETRY) as stranger,
        redis.Redis.from_url(replica.url, decode_responses=True) as reader,
    ):
        assert password not in repr(primary)
        with pytest.raises(redis.AuthenticationError):
            stranger.get("k")
        assert primary.cli("JSON.SET", "k", "$", "[1]") == "OK"
        wait_until(lambda: reader.execute_command("JSON.GET", "k") == "[1]")
        assert "role:slave" in replica.cli("info", "replication")


def test_a_standalone_mongod_has_no_snapshots(tmp_path: Path) -> None:
    with (
        MongoServer(tmp_path, replica_set=None) as server,
        pymongo.MongoClient[dict[str, object]](server.url) as client,
    ):
        client["bank"]["cards"].insert_one({"_id": 1})
        with (
            client.start_session(snapshot=True) as session,
            pytest.raises(OperationFailure, match="replica set"),
        ):
            client["bank"]["cards"].count_documents({}, session=session)


@pytest.mark.parametrize("replica_set", ["rs0", None])
def test_mongod_with_access_control(tmp_path: Path, replica_set: str | None) -> None:
    with MongoServer(tmp_path, replica_set=replica_set, user="boss", password="a:b/@") as server:
        server.kill()
        server.start()
        with pymongo.MongoClient[dict[str, object]](server.url) as client:
            client["bank"]["cards"].insert_one({"_id": 1})
        with (
            pymongo.MongoClient[dict[str, object]]("127.0.0.1", server.port) as stranger,
            pytest.raises(OperationFailure, match="requires authentication"),
        ):
            stranger["bank"]["cards"].find_one({})


def test_a_silent_server_is_given_up_with_its_log(tmp_path: Path) -> None:
    class Silent(RedisServer):
        def is_ready(self) -> bool:
            return False

    server = Silent(tmp_path, modules=False, timeout=0.3)
    with pytest.raises(ServerStartError, match=r"not ready after 0\.3 s(?s:.*)Redis version="):
        server.start()
    assert not server.running
    server.close()


def test_a_closed_server_stays_closed(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, modules=False)
    with server, pytest.raises(DevstackError, match="already running"):
        server.start()
    with pytest.raises(DevstackError, match="not running"):
        _ = server.pid
    with pytest.raises(DevstackError, match="is closed"):
        server.start()
