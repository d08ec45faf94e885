"""The ground of the short tier, with the Prefect server of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import Ground


@pytest.fixture(scope="session")
def ground(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with Ground(folder, workers=2, prefect_url=prefect_url) as made:
        yield made
