"""A scene: a bank in its sources, a Redis, the judge and the reader, and runs on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from devstack import RedisServer
from tests.faults.campaign import Ground, Outcome
from tests.faults.judge import Judge
from tests.faults.model import History, World, world_of
from tests.faults.reader import Reader
from tests.faults.sources import Files, Servers, Sources, pipeline_file
from tests.faults.universe import Moved, Universe
from tests.forked import MAIN, Forked

RUN_S = 120.0
"""A run that has not ended by then hangs."""

Kind = Literal["files", "servers"]


@dataclass(frozen=True)
class Ended:
    """A run that is over: exit code (negative: a signal), report (empty if none), stderr."""

    code: int
    report: dict[str, Any]
    errors: str

    @property
    def success(self) -> bool:
        """Whether it says success."""
        return self.code == 0 and self.report.get("status") == "success"


class Scene:
    """One bank on one Redis, as long as the block lasts.

    Version 1 is in the sources at first, and Redis is empty. ``move`` brings the next version.

    Args:
        kind: ``files`` (SQLite) or ``servers`` (PostgreSQL and MongoDB).
        reading: whether a reader reads all the while.
        redis: options of the Redis server.
    """

    def __init__(
        self,
        ground: Ground,
        seed: int,
        users: int,
        *,
        kind: Kind = "files",
        buckets: int = 16,
        reading: bool = True,
        redis: Mapping[str, Any] | None = None,
    ) -> None:
        self.ground, self.folder = ground, ground.new_folder("scene")
        self.universe, self.history = Universe(seed, users), History()
        self.sources: Sources = (
            Files(self.folder) if kind == "files" else _servers(ground, self.folder)
        )
        self.config = pipeline_file(self.folder / "faults.yaml", self.sources, buckets)
        self.stage = self.folder / "stage"
        self.redis: RedisServer = ground.redis(**(redis or {}))
        self._reading, self._seed = reading, seed
        self._cleanup = ExitStack()
        self._put()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.redis)
        self.judge = Judge(self.redis.url, self.history)
        self.reader = Reader(self.redis.url, self.history, self._seed)
        if self._reading:
            self._cleanup.enter_context(self.reader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        self.ground.add_reader(self.reader.figures)

    @property
    def world(self) -> World:
        """What Redis must hold after a run that reads the sources now."""
        return self.history.newest

    def move(self, **shares: float) -> Moved:
        """Brings the sources to the next version; see ``Universe.move``."""
        moved = self.universe.move(**shares)
        self._put()
        return moved

    def change_all(self) -> None:
        """Brings the sources to a version in which all values are new."""
        self.universe.change_all()
        self._put()

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a run; ``REDIS_URL`` may lead through a proxy."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.ground.prefect_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "REDIS_URL": self.redis.url,
            "PREFETCH_STAGE_DIR": str(self.stage),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_LOAD_THREADS": "2",
            "PREFETCH_FENCE_ALIVE_S": "1",
            **self.sources.environ,
            **more,
        }

    def start(self, *arguments: str, program: str = MAIN, **environ: str) -> Forked:
        """Starts ``prefetch`` (default: ``run``) on this bank.

        Args:
            program: Python code in its place, to damage it first.
            environ: more variables.
        """
        command, *rest = arguments or ("run",)
        return self.ground.forks.prefetch(
            *(command, "--config", str(self.config), "--json", *rest),
            env=self.environ(**environ),
            program=program,
        )

    def ended(self, process: Forked, timeout: float = RUN_S) -> Ended:
        """The end of a started run.

        Raises:
            subprocess.TimeoutExpired: it hangs.
        """
        with process:
            out, errors = process.communicate(timeout)
            lines = out.splitlines()
            try:
                report = json.loads(lines[-1]) if lines else {}
            except ValueError:
                report = {}
            return Ended(process.wait(), report, errors)

    def run(self, *arguments: str, program: str = MAIN, **environ: str) -> Ended:
        """A run from its start to its end; see ``start``."""
        return self.ended(self.start(*arguments, program=program, **environ))

    def judge_success(self, outcome: Outcome, ended: Ended, place: str) -> None:
        """A run that had no fault must succeed, and leave just what it should."""
        if not ended.success:
            error = ended.report.get("error") or ended.errors[-300:]
            outcome.violated("lost", f"{place}: no success ({ended.code}): {error}")
            return
        outcome.judged(self.judge.exact(self.world), place)
        self.judge_stage(outcome, place)

    def judge_stage(self, outcome: Outcome, place: str) -> None:
        """After a run that ended, no rows lie in the stage, of it or of dead ones."""
        left = sorted(path.name for path in self.stage.glob("stage-*"))
        if left:
            outcome.violated("leaked", f"{place}: the stage holds {left}")

    def _put(self) -> None:
        tables = self.universe.tables()
        self.sources.put(tables)
        self.history.add(world_of(self.universe.version, tables))


def _servers(ground: Ground, folder: Path) -> Servers:
    urls = ground.stack.urls
    return Servers(urls["postgres"], urls["mongodb"], folder.name.replace("-", "_"))
