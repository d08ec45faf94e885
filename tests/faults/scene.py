"""A scene: a bank in its sources, a Redis, the judge and the reader, and runs on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from devstack import RedisServer
from tests.faults.campaign import Ground, Outcome
from tests.faults.model import History
from tests.faults.runs import Ended, Runs
from tests.faults.sources import Files, Servers, Sources, pipeline_file
from tests.faults.universe import Universe
from tests.faults.watched import Watched

Kind = Literal["files", "servers"]


class Scene(Watched, Runs):
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
        super().__init__(ground, seed, Universe(seed, users), History())
        self.folder = ground.new_folder("scene")
        self.sources: Sources = (
            Files(self.folder) if kind == "files" else _servers(ground, self.folder)
        )
        self.config = pipeline_file(self.folder / "faults.yaml", self.sources, buckets)
        self.redis: RedisServer = ground.redis(**(redis or {}))
        self._reading = reading
        self.put()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.redis)
        self.watch(self.redis.url, reading=self._reading)
        return self

    def change_all(self) -> None:
        """Brings the sources to a version in which all values are new."""
        self.universe.change_all()
        self.put()

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the pipeline file, and settings."""
        return {"PREFETCH_LOAD_THREADS": "2", **self.sources.environ}

    def judge_success(self, outcome: Outcome, ended: Ended, place: str) -> None:
        """A run that had no fault must succeed, and leave just what it should."""
        if not ended.success:
            outcome.violated("lost", f"{place}: no success ({ended.code}): {ended.told}")
            return
        outcome.judged(self.judge.exact(self.world), place)
        self.judge_stage(outcome, place)

    def judge_stage(self, outcome: Outcome, place: str) -> None:
        """After a run that ended, no rows lie in the stage, of it or of dead ones."""
        if left := self.staged():
            outcome.violated("leaked", f"{place}: the stage holds {left}")

    def put(self) -> None:
        """Makes the universe's version the present one, in the sources too."""
        self.sources.put(self.universe.tables())
        super().put()


def _servers(ground: Ground, folder: Path) -> Servers:
    urls = ground.stack.urls
    return Servers(urls["postgres"], urls["mongodb"], folder.name.replace("-", "_"))
