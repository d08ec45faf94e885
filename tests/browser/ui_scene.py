"""What the browser is shown: a small bank, and what four runs of it have left in Prefect."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import redis
from chromium import Browser
from prefect_api import ask, everything

from devstack import PrefectServer, RedisServer, Stack
from devstack.bank import Book, load, servers_of
from devstack.bank.state import FIRST_ID
from devstack.demo.kept import deploy
from devstack.demo.runs import CONFIG, script
from devstack.folders import PROJECT

USERS = 1_000
EDITED = tuple(range(FIRST_ID + 7, FIRST_ID + 12))
PATIENCE_S = 60


@dataclass
class Scene:
    """What happened, and where to look at it.

    ``environ`` is what a worker needs.
    ``first``, ``held`` and ``repaired`` are the outputs of the runs; ``halfway`` what the page of
    the first run's progress showed while it was loading, and ``progress`` what the API said before
    and after: an update may have been under way.
    """

    url: str
    environ: dict[str, str]
    prefect: Path
    logs: Path
    redis_url: str
    first: dict[str, Any]
    held: dict[str, Any]
    repaired: dict[str, Any]
    halfway: str
    progress: tuple[float, float]

    def run_named(self, name: str) -> dict[str, Any]:
        """The flow run whose name begins so."""
        (run,) = [r for r in everything(self.url, "flow_runs") if r["name"].startswith(name)]
        return run


class Command:
    """The ``prefetch`` command as a process, whose output ends in a file."""

    def __init__(self, environ: dict[str, str], logs: Path) -> None:
        self._environ, self._logs = environ, logs

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("wb") as output:
            return subprocess.Popen(
                [script("prefetch"), *arguments, "--config", CONFIG, "--json"],
                env=self._environ,
                cwd=PROJECT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def report(self, name: str, process: subprocess.Popen[bytes], code: int = 0) -> dict[str, Any]:
        ended = process.wait(PATIENCE_S)
        told = (self._logs / f"{name}.log").read_text(encoding="utf-8")
        assert ended == code, told
        (line,) = [line for line in told.splitlines() if line.startswith("{")]
        report: dict[str, Any] = json.loads(line)
        return report


@contextmanager
def scene_of(
    stack: Stack, server: PrefectServer, browser: Browser, folder: Path
) -> Iterator[Scene]:
    """Makes the bank, lets the runs run, and keeps Redis up."""
    servers = servers_of(stack.environ(), folder, "browser")
    load(servers, Book(users=USERS, seed=3, prefix="browser"), folder / "bank")
    with RedisServer(folder / "redis").start() as target:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **servers.lines,
            "HOME": str(folder),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": server.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFETCH_STAGE_DIR": str(folder / "stage"),
            "PREFETCH_LOAD_THREADS": "2",  # the names of the groups say how many there are
            "REDIS_URL": target.url,
        }
        logs = folder / "logs"
        logs.mkdir()
        deploy(environ, logs / "deploy.log")
        command = Command(environ, logs)
        process = command.start("first", "run")
        try:
            progress, halfway = _stopped_halfway(process, server.url, browser)
            first = command.report("first", process)
        finally:
            process.kill()
        _edit(target.url)
        repair = command.start("repair", "verify", "--repair")
        repaired = command.report("repair", repair)
        with pymongo.MongoClient[dict[str, Any]](stack.urls["mongodb"]) as client:
            client["browser_engagement"]["devices"].delete_many({})
        held = command.report("held", command.start("held", "run"), code=5)
        yield Scene(
            server.url,
            environ,
            server.folder,
            logs,
            target.url,
            first,
            held,
            repaired,
            halfway,
            progress,
        )


def _stopped_halfway(
    process: subprocess.Popen[bytes], url: str, browser: Browser
) -> tuple[tuple[float, float], str]:
    """Stops a run in mid-load; gives its progress and the page of it, and lets it go on."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[dict[str, Any]] = []
    while not found:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
        found = [each for each in everything(url, "artifacts") if each["type"] == "progress"]
    process.send_signal(signal.SIGSTOP)
    try:
        progress = ask(url, f"/artifacts/{found[0]['id']}")
        browser.open(f"/runs/flow-run/{progress['flow_run_id']}", "Running")
        page = f"/artifacts/artifact/{progress['id']}"
        text = browser.open(page, "buckets done", "Progress: ")
        return (progress["data"], ask(url, f"/artifacts/{progress['id']}")["data"]), text
    finally:
        process.send_signal(signal.SIGCONT)


def _edit(redis_url: str) -> None:
    """Somebody edits documents by hand, as nobody should."""
    with redis.Redis.from_url(redis_url) as client:
        for user in EDITED:
            client.execute_command("JSON.SET", f"profile:{user}", "$.auth.locked", "1")
