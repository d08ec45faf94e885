"""A Prefect server with runs of a small bank, and a browser on its UI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Browser, chromium
from ui_scene import Scene, scene_of

from devstack import PrefectServer, Stack


@pytest.fixture(scope="module")
def browser(
    prefect_ui: PrefectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    with chromium(prefect_ui.url, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def prefect_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path_factory.mktemp("ui")).start() as server:
        yield server


@pytest.fixture(scope="module")
def scene(
    stack: Stack,
    prefect_ui: PrefectServer,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    with scene_of(stack, prefect_ui, browser, tmp_path_factory.mktemp("scene")) as shown:
        yield shown
