"""How far a run is with its buckets: an artifact in the Prefect UI, and told to who listens."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.steps import advance

_STEP = 5.0
"""Percent between two updates."""


class Progress:
    """The share of buckets that are done, as a progress artifact; few updates, any thread.

    To be made by the flow itself, as the artifact is the run's and not one task's. What is done at
    one blow has none: making it would take longer. Prefect is told by a thread of its own: Redis
    would wait for its answers otherwise.
    """

    def __init__(self, buckets: int) -> None:
        self._buckets = buckets
        self._done: dict[int, int] = {}
        self._told = 0.0
        self._lock = Lock()
        self._artifact = _artifact() if buckets > 1 else None
        self._aside = ThreadPoolExecutor(1, "progress")
        self._telling: Future[object] | None = None

    def tell(self, group: int, done: int) -> None:
        """Tells how many buckets of a group are done; waits where all are."""
        with self._lock:
            advance("load", (done - self._done.get(group, 0)) / self._buckets)
            self._done[group] = done
            percent = 100.0 * sum(self._done.values()) / self._buckets
            if percent - self._told < _STEP and percent < 100:
                return
            self._told = percent
            if self._artifact is not None:
                self._tell(self._artifact, percent)

    def _tell(self, artifact: UUID, percent: float) -> None:
        ended = percent >= 100
        if self._telling is not None and (ended or self._telling.done()):
            self._telling.result()
            self._telling = None
        if self._telling is None:
            update = partial(update_progress_artifact, artifact, progress=round(percent, 1))
            self._telling = self._aside.submit(copy_context().run, update)
        if ended:
            self._telling.result()


def _artifact() -> UUID:
    made = create_progress_artifact(progress=0.0, description="buckets done")
    assert isinstance(made, UUID)
    return made
