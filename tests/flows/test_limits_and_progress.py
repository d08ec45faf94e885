"""How large batches are, and that nobody waits while Prefect is told of the progress."""

from __future__ import annotations

from threading import Event, Thread
from uuid import UUID, uuid4

import pytest

from core.settings import Settings
from flows import progress
from flows.run_context import limits_of


@pytest.mark.parametrize(
    ("chosen", "indexed", "documents"),
    [(None, False, 16), (None, True, 2), ("7", False, 7), ("7", True, 7)],
)
def test_batches_are_smaller_with_a_search_index(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, indexed: bool, documents: int
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.delenv("PREFETCH_BATCH_DOCUMENTS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("PREFETCH_BATCH_DOCUMENTS", chosen)
    assert limits_of(Settings(), indexed=indexed).batch_documents == documents


class SlowPrefect:
    """Takes no progress before it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on, self.told = Event(), list[float]()
        self.error: Exception | None = None
        monkeypatch.setattr(progress, "create_progress_artifact", lambda **_: uuid4())
        monkeypatch.setattr(progress, "update_progress_artifact", self._update)

    def _update(self, artifact: UUID, progress: float) -> None:
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        self.told.append(progress)


def test_nobody_waits_for_prefect_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    prefect = SlowPrefect(monkeypatch)
    made = progress.Progress(buckets=4)
    for done in (1, 2, 3):
        made.tell(0, done)
    assert prefect.told == []
    last = Thread(target=made.tell, args=(0, 4))
    last.start()
    prefect.go_on.set()
    last.join(10)
    assert not last.is_alive()
    assert prefect.told == [25.0, 100.0], "what came while it was busy is left out, the end is not"
    made.tell(0, 2)  # the group is tried again
    made.tell(0, 4)
    assert prefect.told[-1] == 100.0


def test_what_prefect_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    prefect = SlowPrefect(monkeypatch)
    prefect.error = ValueError("refused")
    prefect.go_on.set()
    made = progress.Progress(buckets=4)
    made.tell(0, 1)
    with pytest.raises(ValueError, match="refused"):
        made.tell(0, 4)
