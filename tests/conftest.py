"""The real servers of all tests, started once; each test takes its own database or profile name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from devstack import DATABASES, PrefectServer, Stack
from tests.forked import Forks
from tests.programs import url_of_mariadb

# CI tries the same cases each time, so that a red run is the change's; elsewhere they are new ones.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests also wait, for servers and pages."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failure in CI, which has all that tests need."""
    told = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and told is not None and told.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(tmp_path_factory.mktemp("stack"), DATABASES, environ={}) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(stack: Stack) -> str:
    return stack.urls["postgres"]


@pytest.fixture(scope="session")
def mongodb_url(stack: Stack) -> str:
    return stack.urls["mongodb"]


@pytest.fixture(scope="session")
def mariadb_url(stack: Stack) -> str:
    return url_of_mariadb(stack)


@pytest.fixture(scope="session")
def redis_url(stack: Stack) -> str:
    return stack.urls["redis"]


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path_factory.mktemp("prefect")).start() as server:
        yield server


@pytest.fixture(scope="session")
def prefect_url(prefect: PrefectServer) -> str:
    return prefect.url


@pytest.fixture
def here() -> Path:
    return Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as running:
        yield running
