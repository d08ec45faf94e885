"""The bench's ground: servers and a loaded demo bank of its own, and the ``prefetch`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack import DATABASES, PrefectServer, Stack
from devstack.bank import Book, load, servers_of
from devstack.folders import PROJECT

CONFIG = PROJECT / "examples/demo_bank/pipeline.yaml"
PROFILE = "demo_bank"
SEED = 1
PREFIX = "read"


@dataclass
class Ground:
    """Where everything is.

    Attributes:
        version: the profiles' ``schema_version``: raising it makes a run write all of them anew.
    """

    stack: Stack
    book: Book
    folder: Path
    environ: dict[str, str]
    version: int = field(default=1)

    @property
    def config(self) -> str:
        """A copy of the demo's pipeline file with the present version."""
        path = self.folder / f"pipeline-{self.version}.yaml"
        if not path.exists():
            name = f"  name: {PROFILE}\n"
            text = CONFIG.read_text(encoding="utf-8")
            assert name in text
            versioned = text.replace(name, f"{name}  schema_version: {self.version}\n")
            path.write_text(versioned, encoding="utf-8")
        return str(path)

    def load_all(
        self, meanwhile: Callable[[], None] | None = None, sched_idle: bool = False
    ) -> dict[str, Any]:
        """Runs ``prefetch run`` as a user does; its report, with the process's seconds.

        Args:
            meanwhile: carried out over and over until the run has ended.
            sched_idle: whether it takes only what all other programs leave.
        """
        allowed = ("--accept", "changed", "--why", "a benchmark rewrites all")
        return self.prefetch("run", *allowed, "--json", meanwhile=meanwhile, sched_idle=sched_idle)

    def prefetch(
        self, *arguments: str, meanwhile: Callable[[], None] | None = None, sched_idle: bool = False
    ) -> dict[str, Any]:
        """Carries out a command with the pipeline file; what it prints as JSON, and seconds.

        Raises:
            SystemExit: it failed; with its messages.
        """
        command = ["chrt", "--idle", "0"] if sched_idle else []
        command += [sys.executable, "-m", "flows.command_line", *arguments, "--config", self.config]
        log = self.folder / "prefetch.log"
        started = time.monotonic()
        with log.open("wb") as errors, (self.folder / "prefetch.out").open("w+b") as out:
            child = subprocess.Popen(
                command, env=self.environ, cwd=PROJECT, stdout=out, stderr=errors
            )
            try:
                while child.poll() is None:
                    if meanwhile is None:
                        child.wait()
                    else:
                        meanwhile()
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            seconds = time.monotonic() - started
            out.seek(0)
            lines = [line for line in out.read().splitlines() if line[:1] == b"{"]
        if child.returncode:
            sys.exit(log.read_text(encoding="utf-8", errors="replace"))
        return {**(json.loads(lines[-1]) if lines else {}), "process_seconds": round(seconds, 1)}


@contextmanager
def ground(
    users: int, folder: Path, say: Callable[[str], None], prefect_url: str | None = None
) -> Iterator[Ground]:
    """Servers of its own with a bank, and an empty Redis; all of it ends with the block.

    Args:
        prefect_url: a Prefect server to take instead of one of its own.
    """
    with ExitStack() as ends:
        stack = ends.enter_context(Stack.start(folder / "stack", DATABASES, environ={}))
        if prefect_url is None:
            prefect_url = ends.enter_context(PrefectServer(folder / "prefect").start()).url
        servers = servers_of(stack.environ(), folder, prefix=PREFIX)
        book = Book(users=users, seed=SEED, prefix=PREFIX)
        say(f"making a bank of {users:,} customers")
        load(servers, book, folder)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PREFETCH_"))}
        environ = {
            **kept,
            **servers.lines,
            "REDIS_URL": stack.urls["redis"],
            "PREFECT_API_URL": prefect_url,
            "PREFETCH_STAGE_DIR": str(folder / "stage"),
        }
        yield Ground(stack, book, folder, environ)
