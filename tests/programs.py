"""What tests need beside the project; those that lack it are skipped, but not in CI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from devstack import NotInstalledError, Server, Stack


def program(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: devstack/debian.sh")
    return found


def real_data() -> Path:
    """The folder of the two real data sets, which are not in the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not in ../shared/data")
    return folder


def started(server: Server) -> Server:
    """The server, running."""
    try:
        return server.start()
    except NotInstalledError as error:
        pytest.skip(str(error))


def url_of_mariadb(stack: Stack) -> str:
    """The address of the stack's MariaDB."""
    if "mariadb" in stack.skipped:
        pytest.skip(stack.skipped["mariadb"])
    return stack.urls["mariadb"]
