"""A small demo bank with its first night, and the commands as a reader of the pages gives them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from devstack import RedisServer, Stack
from devstack.bank import Book, load, servers_of
from flows.command_line import main
from tests.prefect_client import prefect_at

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "examples/demo_bank/pipeline.yaml"
USERS = 1_000
MOVING = 10_000_169
"""The customer of the pages who moves from one city to another."""


@dataclass(frozen=True)
class Desk:
    """Where somebody sits who tries the pages: an environment, and a Prefect server."""

    environ: Mapping[str, str]
    prefect_url: str

    def does(self, *words: str, **more: str) -> Result:
        """How ``prefetch`` ends with these words behind it."""
        quiet = temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False})
        with quiet, prefect_at(self.prefect_url), logging_as_before():
            return CliRunner(env={**self.environ, **more}).invoke(main, words)

    def moves(self, city: str) -> None:
        """Lets the customer of the pages move."""
        url = sa.engine.make_url(self.environ["DEMO_CORE_URL"])
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        with engine.begin() as connection:
            done = connection.execute(
                sa.text(
                    "UPDATE customer SET city = :city, updated_at = now() WHERE customer_id = :c"
                ),
                {"city": city, "c": str(MOVING)},
            )
            assert done.rowcount == 1


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Leaves pytest's handlers without the filters that the command gives to all."""
    before = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    try:
        yield
    finally:
        for handler, filters in before.items():
            handler.filters = filters


@pytest.fixture(scope="session")
def desk(
    stack: Stack, prefect_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    servers = servers_of(stack.environ(), folder, "docs")
    load(servers, Book(users=USERS, seed=1, prefix="docs"), folder / "bank")
    with RedisServer(folder / "redis").start() as target:
        environ = {
            **servers.lines,
            "REDIS_URL": target.url,
            "PREFETCH_STAGE_DIR": str(folder / "stage"),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_CONFIG": CONFIG,
            "COLUMNS": "100",
        }
        made = Desk(environ, prefect_url)
        made.moves("Berlin")
        here = Path.cwd()
        os.chdir(ROOT)
        try:
            ended = made.does("run", "--json")
            assert ended.exit_code == 0, ended.output
            yield made
        finally:
            os.chdir(here)
