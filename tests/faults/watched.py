"""What all banks of the checker share: their versions, and judge and reader at a Redis."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.faults.campaign import Ground
from tests.faults.judge import Judge
from tests.faults.model import History, World, world_of
from tests.faults.reader import Reader
from tests.faults.universe import Moved, Universe


class Watched:
    """A universe whose versions are told to judge and reader, as long as the block lasts.

    Whoever extends it calls ``put`` for version 1, and ``watch`` once the Redis is up.
    """

    kept: int = 6
    """So many versions are remembered: runs begin with one of them."""
    judge: Judge
    reader: Reader

    def __init__(self, ground: Ground, seed: int, universe: Universe, history: History) -> None:
        self.ground, self.universe, self.history = ground, universe, history
        self._seed, self._cleanup = seed, ExitStack()

    def __enter__(self) -> Self:
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
        """What Redis must hold after a run of the present version."""
        return self.history.newest

    def move(self, **shares: float) -> Moved:
        """Brings the next version; see ``Universe.move``."""
        moved = self.universe.move(**shares)
        self.put()
        return moved

    def put(self) -> None:
        """Makes the universe's version the present one."""
        world = world_of(self.universe.version, self.universe.tables())
        self.history.add(world, keep=self.kept)

    def watch(self, url: str, *, reading: bool = True) -> None:
        """Sets judge and reader on a Redis; without ``reading`` the reader looks on only."""
        self.judge = Judge(url, self.history)
        self.reader = Reader(url, self.history, self._seed)
        if reading:
            self._cleanup.enter_context(self.reader)
