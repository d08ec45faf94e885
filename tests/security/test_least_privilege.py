"""The product with no more rights than the files of deploy/grants give."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis
import sqlalchemy as sa
from click.testing import CliRunner, Result
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from core.pipeline_file import load_pipeline
from core.plan import plan_of
from devstack import MongoServer, PostgresServer, RedisServer, Stack
from devstack.bank import Book, load, servers_of
from flows.command_line import main
from tests.docs.conftest import logging_as_before
from tests.prefect_client import prefect_at
from tests.programs import program, url_of_mariadb
from tests.security import grants

CONFIG = "examples/demo_bank/pipeline.yaml"
PREFIX = "least"
USERS = 150
SOMEBODY, LEAVER = "10000029", "10000041"

RUN = ["run", "--accept", "quarantined", "--by", "Ada", "--why", "so few rows"]
AS_LOADER = [
    RUN,
    ["verify"],
    ["backfill", "--user", SOMEBODY],
    ["incremental"],
    ["index", "rebuild"],
]
AS_SWEEPER = [
    ["forget", SOMEBODY, "--by", "Ada", "--why", "asked to", "--wait", "1"],
    ["forget", SOMEBODY, "--undo", "--by", "Ada", "--why", "asked to"],
]
AS_OPERATOR = [
    ["status"],
    ["search", "*", "--limit", "1"],
    ["index", "info"],
    ["show", "10000007"],
    ["show", "10000007", "--unmask", "--by", "Ada"],
    ["quarantine", "show"],
    ["quarantine", "show", "--unmask", "--by", "Ada"],
    ["audit"],
]


@dataclass
class Place:
    """A demo bank and a Redis, with the users of the files."""

    lines: dict[str, str]
    target: RedisServer
    prefect_url: str
    folder: Path
    core: str

    def change(self, statement: str) -> None:
        """Changes core, as its owner."""
        core = sa.engine.make_url(self.core).set(drivername="postgresql+psycopg")
        with sa.create_engine(core, poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql(statement)

    def does(self, user: str, *words: str) -> Result:
        """How ``prefetch`` ends with these words, as this user of Redis."""
        environ = {
            **self.lines,
            "REDIS_URL": grants.as_user(self.target.url, user),
            "PREFETCH_STAGE_DIR": str(self.folder / "stage"),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_CONFIG": CONFIG,
        }
        quiet = temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False})
        with quiet, prefect_at(self.prefect_url), logging_as_before():
            return CliRunner(env=environ).invoke(main, words)

    def refused(self) -> list[tuple[str, str, str]]:
        """What Redis has refused since the last time: user, reason, command or key."""
        with redis.Redis.from_url(self.target.url, decode_responses=True) as admin:
            log: list[dict[str, Any]] = admin.acl_log()
            admin.acl_log_reset()
        return [(each["username"], each["reason"], each["object"]) for each in log]


@pytest.fixture(scope="module")
def place(
    stack: Stack, prefect_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("least")
    root = MongoServer(folder / "mongodb", user="root", password="root")
    with root as mongo, RedisServer(folder / "redis") as target:
        environ = {**stack.environ(), "PREFETCH_DEV_MONGODB_URL": mongo.url}
        servers = servers_of(environ, folder, PREFIX)
        load(servers, Book(users=USERS, seed=1, prefix=PREFIX), folder / "bank")
        postgres = stack.servers["postgres"]
        assert isinstance(postgres, PostgresServer)
        grants.apply_postgres(postgres.url, postgres.program("psql"), PREFIX)
        mariadb = sa.create_engine(url_of_mariadb(stack), poolclass=sa.NullPool)
        grants.apply_mariadb(mariadb, PREFIX)
        with pymongo.MongoClient[dict[str, Any]](mongo.url) as client:
            grants.apply_mongodb(client, program("node"), PREFIX)
        grants.apply_redis(target.url)
        lines = {name: _as_reader(url) for name, url in servers.lines.items()}
        here = Path.cwd()
        os.chdir(grants.ROOT)
        try:
            made = Place(lines, target, prefect_url, folder, servers.urls["core"])
            # A column that the pipeline file does not name.
            made.change("ALTER TABLE login ADD pin text")
            yield made
        finally:
            os.chdir(here)


def _as_reader(url: str) -> str:
    url = grants.as_user(url, "prefetch_reader")
    return url.replace("authSource=admin", f"authSource={PREFIX}_engagement")


def test_a_night_and_a_day(place: Place) -> None:
    for words in AS_LOADER:
        _does_it(place, "loader", words)
    for words in AS_SWEEPER:
        _does_it(place, "sweeper", words)
    place.change(f"DELETE FROM customer WHERE customer_id = '{LEAVER}'")
    told = _does_it(place, "loader", [*RUN, "--accept-removals", "1", "--json"])
    assert json.loads(told.splitlines()[-1])["removed"] == 1
    for words in AS_OPERATOR:
        told = _does_it(place, "operator", words)
    assert "forget" in told and "show --unmask" in told


def _does_it(place: Place, user: str, words: list[str]) -> str:
    ended = place.does(user, *words)
    assert ended.exit_code == 0, (user, words, ended.output)
    assert place.refused() == [], (user, words)
    return ended.stdout


def test_what_they_may_not(place: Place) -> None:
    for user, words in (
        ("sweeper", ["run"]),
        ("operator", ["forget", SOMEBODY, "--by", "Ada", "--why", "x"]),
        ("operator", ["index", "rebuild"]),
        ("app_session", ["show", "10000007", "--unmask", "--by", "Ada"]),
        ("app_login", ["status"]),
    ):
        ended = place.does(user, *words)
        assert ended.exit_code == 4, (user, words, ended.output)
        assert "NOPERM" in ended.output
        assert place.refused(), (user, words)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE login SET locked = false",
        "DELETE FROM customer",
        "CREATE TABLE mine (a int)",
        "SELECT pin FROM login",
        "SELECT * FROM role",
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_the_reader_of_postgres_can_only_read(place: Place, sql: str) -> None:
    url = sa.engine.make_url(place.lines["DEMO_CORE_URL"]).set(drivername="postgresql+psycopg")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        # Whoever sets his session to write still has no grant.
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        connection.commit()
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.exec_driver_sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE loan SET note = ''",
        "DELETE FROM schedule",
        "CREATE TABLE mine (a int)",
        "SELECT * FROM mysql.user",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
    ],
)
def test_the_reader_of_mariadb_can_only_read(place: Place, sql: str) -> None:
    engine = sa.create_engine(place.lines["DEMO_LENDING_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="denied"):
        connection.exec_driver_sql(sql)


def test_the_reader_of_mongodb_can_only_read(place: Place) -> None:
    with pymongo.MongoClient[dict[str, Any]](place.lines["DEMO_ENGAGEMENT_URL"]) as client:
        database = client.get_default_database()
        assert database.contact.find_one() is not None
        for forbidden in (
            lambda: database.contact.insert_one({}),
            lambda: database.contact.delete_many({}),
            lambda: database.other.find_one(),
            lambda: database.command("dropDatabase"),
            lambda: client.admin.system.users.find_one(),
        ):
            with pytest.raises(pymongo.errors.OperationFailure, match="not authorized"):
                forbidden()


def test_the_grants_name_what_the_pipeline_file_names() -> None:
    lines = {f"DEMO_{name}_URL": "sqlite://" for name in ("CORE", "CARDS", "LENDING")}
    plan = plan_of(
        load_pipeline(grants.ROOT / CONFIG, {**lines, "DEMO_ENGAGEMENT_URL": "mongodb://h/d"})
    )
    named: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for entry in plan.datasets.values():
        columns = {column.path for column in entry.query.columns}
        named[entry.source][entry.query.relation] |= columns
    assert grants.granted_columns() == {**named["core"], **named["cards"]}
    assert grants.granted_tables() == set(named["lending"])
    assert grants.granted_collections() == set(named["engagement"])
