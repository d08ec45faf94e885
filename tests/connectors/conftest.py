"""The servers that only the connectors' tests need, beside those of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.mongodb import MongoServer


@pytest.fixture(scope="session")
def standalone_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("standalone")
    with MongoServer(folder, replica_set=None) as server:
        yield server.url


@pytest.fixture(scope="session")
def guarded_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A replica set with access control."""
    folder = tmp_path_factory.mktemp("guarded")
    with MongoServer(folder, user="root", password="root-pass") as server:
        yield server
