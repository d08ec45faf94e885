"""Plants each bug in a process of its own, and has its check look."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack import RedisServer
from tests.faults.campaign import Ground
from tests.faults.planted import checks
from tests.faults.planted.bugs import BUGS, Bug
from tests.faults.planted.runs import RUNS


@dataclass(frozen=True)
class Caught:
    """What a check found, with a bug planted or (``bug`` None) without."""

    bug: Bug | None
    check: str
    found: list[str]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether it found something just where there was something to find."""
        return bool(self.found) == (self.bug is not None)


class Catcher:
    """Servers and processes for the checks."""

    def __init__(self, ground: Ground, server: RedisServer, socket: str) -> None:
        self._ground, self._server, self._socket = ground, server, socket

    def caught(self, check: str, bug: Bug | None) -> Caught:
        """What a check finds."""
        started = time.monotonic()
        if check in RUNS:
            found = RUNS[check](self._ground, None if bug is None else bug.name)
        else:
            found = self._in_a_fork(check, bug)
        return Caught(bug, check, found, time.monotonic() - started)

    def _in_a_fork(self, check: str, bug: Bug | None) -> list[str]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(reading)
                found = self._found(check, bug)
                with os.fdopen(writing, "w") as pipe:
                    json.dump(found, pipe)
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        if status:
            raise AssertionError(f"{check}, {bug and bug.name}: the check itself has failed")
        found: list[str] = json.loads(text)
        return found

    def _found(self, check: str, bug: Bug | None) -> list[str]:
        try:
            if bug is not None:
                bug.plant()
            if check in checks.STORE:
                return checks.STORE[check](self._server.url)
            return checks.orders(check, self._socket)
        except Exception as error:
            sys.stderr.write(f"{check}, {bug and bug.name}: {type(error).__name__}: {error}\n")
            raise


@contextmanager
def catcher(ground: Ground) -> Iterator[Catcher]:
    """What plants bugs and has them caught, as long as the block lasts."""
    folder: Path = ground.new_folder("planted")
    socket = str(folder / "socket")
    with RedisServer(folder / "redis", extra_args=["--unixsocket", socket]) as server:
        yield Catcher(ground, server, socket)


def all_caught(ground: Ground, names: list[str] | None = None) -> Iterator[Caught]:
    """Every bug (or the named ones) and its check, and each check once without a bug."""
    bugs = [BUGS[name] for name in (BUGS if names is None else names)]
    with catcher(ground) as it:
        for check in dict.fromkeys(bug.check for bug in bugs):
            yield it.caught(check, None)
            for bug in bugs:
                if bug.check == check:
                    yield it.caught(check, bug)


def line(caught: Caught, **width: Any) -> str:
    """A line of the table."""
    name = "(nothing)" if caught.bug is None else caught.bug.name.replace("_", " ")
    told = "yes" if caught.found else "no"
    return f"{name:40} {caught.check:52} {told:4} {'' if caught.right else 'WRONG'}".rstrip()
