"""What tests need from the system; those that lack it are skipped, but not in CI."""

from __future__ import annotations

import shutil

import pytest

from devstack import NotInstalledError, Server, Stack


def program(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: devstack/debian.sh")
    return found


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
