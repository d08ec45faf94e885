"""Banks on real servers, a Prefect server, and the flow run in this process."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pymongo
import pytest
import sqlalchemy as sa
from loader import load_mongo, load_sql

from devstack import RedisServer, Stack
from tests.programs import real_data, url_of_mariadb

ROOT = Path(__file__).resolve().parents[2]
LINES = {
    "berka": ("BERKA_CORE_URL", "BERKA_LENDING_URL", "BERKA_ENGAGEMENT_URL"),
    "sample_analytics": ("SAMPLE_CORE_URL", "SAMPLE_LOYALTY_URL", "SAMPLE_ENGAGEMENT_URL"),
}


def make_bank(stack: Stack, name: str, database: str) -> dict[str, str]:
    """Loads a data set into databases of their own; gives the variables of its pipeline file."""
    real_data()
    core, second, mongo = LINES[name]
    postgres = sa.engine.make_url(stack.urls["postgres"]).set(drivername="postgresql+psycopg")
    mariadb = sa.engine.make_url(url_of_mariadb(stack))
    environ = {mongo: stack.urls["mongodb"]}
    for server, line, variable in ((postgres, "postgres", core), (mariadb, "mysql", second)):
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {database}")
        url = server.set(database=database)
        load_sql(name, line, sa.create_engine(url, poolclass=sa.NullPool))
        environ[variable] = url.render_as_string(hide_password=False)
    with pymongo.MongoClient[dict[str, Any]](stack.urls["mongodb"]) as client:
        load_mongo(name, client[database])
    return environ


@pytest.fixture(scope="session")
def berka(stack: Stack) -> dict[str, str]:
    return make_bank(stack, "berka", "berka")


@pytest.fixture(scope="session")
def sample_analytics(stack: Stack) -> dict[str, str]:
    return make_bank(stack, "sample_analytics", "sample_analytics")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(tmp_path / "target").start() as server:
        yield server


@pytest.fixture
def run(
    prefect_url: str, target: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Runs a flow, the nightly one if not told, in this process: its report, or its error."""
    from tests.prefect_client import prefect_at

    def runs(
        config: Path,
        environ: Mapping[str, str],
        flow: str = "nightly",
        given: Mapping[str, Any] | None = None,
        **more: str,
    ) -> dict[str, Any]:
        start = getattr(importlib.import_module(f"flows.{flow}"), flow)
        settings = {
            "REDIS_URL": target.url,
            "PREFETCH_STAGE_DIR": str(tmp_path / "stage"),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_LOAD_THREADS": "2",
            **environ,
            **more,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with prefect_at(prefect_url):
            report: dict[str, Any] = start(config, **(given or {}))
        return report

    return runs


def child_environ(**more: str) -> dict[str, str]:
    """The environment of a ``prefetch`` process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **more}
