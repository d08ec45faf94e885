"""The demo's ground: its folder, its servers, and the environment of what runs in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from devstack.demo.failure import DemoFailed
from devstack.demo.screen import Screen
from devstack.detached import down, status, up
from devstack.folders import FILE_MODE, PROJECT, private_folder, remove_tree
from devstack.services import ALL, SERVICES, ServiceName
from devstack.stack import Stack

FOLDER = PROJECT / ".devstack" / "demo"
KEPT = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE")

Urls = Mapping[ServiceName, str]


@contextmanager
def ground(screen: Screen, *, keep: bool) -> Iterator[Urls]:
    """Running servers in the demo's folder; at the end nothing of it is left.

    Args:
        screen: told of the start.
        keep: leave all of it, and let it survive this process, unless something goes wrong.

    Raises:
        DemoFailed: another demo is there.
        DevstackError: a server does not start.
    """
    with _alone():
        _clear()
        try:
            with ExitStack() as running:
                with screen.step("starting PostgreSQL, MariaDB, MongoDB, Redis and Prefect"):
                    urls, skipped = _kept() if keep else _tied(running)
                for name, why in skipped.items():
                    screen.line(f"{name} is left out: {why}")
                yield urls
        except BaseException:
            down(FOLDER)
            _leave_logs()
            raise
        if not keep:
            remove_tree(FOLDER)


def _tied(running: ExitStack) -> tuple[Urls, Mapping[ServiceName, str]]:
    """Servers that end with this process, however it ends."""
    stack = running.enter_context(Stack.start(FOLDER, ALL, environ={}))
    return stack.urls, stack.skipped


def _kept() -> tuple[Urls, Mapping[ServiceName, str]]:
    """Servers that survive this process."""
    state = up(FOLDER, ALL, environ={})
    urls = {name: state.urls[name] for name in ALL if name in state.urls}
    return urls, {name: state.skipped[name] for name in ALL if name in state.skipped}


def end() -> list[str]:
    """Ends what a demo has kept, and removes all of it; what was ended."""
    with _alone():
        ended = down(FOLDER)
        remove_tree(FOLDER)
    return ended


def environment(urls: Urls, lines: Mapping[str, str]) -> dict[str, str]:
    """What a process of the demo gets: nothing of the caller's own settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(FOLDER / "home"),
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": urls["redis"],
        "PREFECT_API_URL": urls["prefect"],
        "PREFECT_HOME": str(FOLDER / "home"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFETCH_STAGE_DIR": str(FOLDER / "stage"),
        **lines,
    }


def server_environment(urls: Urls) -> dict[str, str]:
    """The servers as the bank wants them named."""
    return {SERVICES[name].variable: url for name, url in urls.items()}


def _clear() -> None:
    """Removes what a demo that was killed has left."""
    state = status(FOLDER)
    if state is not None and len(state.dead) < len(state.processes):
        raise DemoFailed("a demo with KEEP=1 is still up: 'make demo-down' ends it")
    down(FOLDER)
    remove_tree(FOLDER)
    for name in ("home", "bank", "logs"):
        private_folder(FOLDER / name)


def _leave_logs() -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "logs":
            for log in path.glob("*.log"):
                log.rename(FOLDER / "logs" / f"{path.name}-{log.name}")
            remove_tree(path)


@contextmanager
def _alone() -> Iterator[None]:
    """One demo at a time in this clone; the lock falls with the process.

    Raises:
        DemoFailed: another one is at work.
    """
    lock = private_folder(FOLDER.parent) / "demo.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DemoFailed("another demo is at work in this clone: wait until it ends") from None
    finally:
        os.close(descriptor)
