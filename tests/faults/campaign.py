"""What every row of the table shares: its outcome, and the ground on which trials are held.

A *campaign* is a module in ``tests/faults/campaigns/`` with

    NAME = "loader_killed"                      # its key in faults.json, and the module's name
    TITLE = "loader killed with -9"             # its line in the table
    TRIALS = 200                                # in the long tier
    def run(trials: int, seed: int, ground: Ground) -> Outcome

Each trial takes its own seed (``seed + number``), so that one can be repeated alone.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from devstack import PrefectServer, RedisServer, Stack
from tests.faults.judge import MAX_EXAMPLES, Verdict
from tests.faults.reader import Figures
from tests.forked import Forks

CLASSES = (
    "lost",
    "stale",
    "torn",
    "mixed_up",
    "resurrected",
    "leaked",
    "false_success",
    "misses",
    "steps_back",
    "hangs",
    "left_over",
)
"""Classes of violations; ``left_over`` are fences after a success. A row may have others of its own (``differences``, ``uncaught`` …)."""

BITES = 0.95
"""A row in which the fault bit less often than this is a failure."""


@dataclass
class Outcome:
    """What came of some trials; outcomes add up.

    ``bitten`` are the trials in which the fault really took place. ``failures`` are reasons, in
    words, why the row fails though nothing was violated. ``notes`` are further figures: numbers
    add up, lists are joined, others are replaced.
    """

    trials: int = 0
    bitten: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def judged(self, verdict: Verdict, place: str = "") -> None:
        """Takes in a judge's verdict; ``place`` says of which trial, as in ``seed 17``."""
        self.violations += verdict.violations
        for text in verdict.examples:
            self.tell(f"{place}: {text}" if place else text)

    def violated(self, kind: str, text: str) -> None:
        """Counts a violation that no judge counts: a false success, a hang, a leak."""
        self.violations[kind] += 1
        self.tell(f"{kind}: {text}")

    def tell(self, example: str) -> None:
        """Keeps an example, if there is room."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)

    def __iadd__(self, other: Outcome) -> Outcome:
        self.trials += other.trials
        self.bitten += other.bitten
        self.violations += other.violations
        self.examples = (self.examples + other.examples)[:MAX_EXAMPLES]
        self.failures = [*self.failures, *(f for f in other.failures if f not in self.failures)]
        self.notes = _joined(self.notes, other.notes)
        return self

    @property
    def bound(self) -> float | None:
        """Below what the chance of a violation is, at 95 %, where none was seen (3/n)."""
        if self.violations.total() or not self.bitten:
            return None
        return 3 / self.bitten

    @property
    def reasons(self) -> list[str]:
        """Why the row is a failure; nothing where it is none."""
        reasons = list(self.failures)
        if self.violations.total():
            reasons.append(f"{self.violations.total()} violations")
        if self.trials == 0 or self.bitten < BITES * self.trials:
            reasons.append(f"bit in {self.bitten} of {self.trials} only")
        return reasons


def _joined(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    joined = dict(mine)
    for name, value in theirs.items():
        old = joined.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            joined[name] = _joined(old, value)
        elif isinstance(value, bool) or not isinstance(value, int | float | list):
            joined[name] = value
        else:
            joined[name] = value if old is None else old + value
    return joined


class Campaign(Protocol):
    """A module in ``campaigns/``."""

    NAME: str
    TITLE: str
    TRIALS: int

    def run(self, trials: int, seed: int, ground: Ground) -> Outcome: ...


class Ground:
    """Servers, folders and processes for trials; all that is costly is started once, when used.

    ``forks.prefetch(…, env=…)`` starts a ``prefetch`` process in 0.1 s (``tests/forked.py``);
    ``tests.faults.scene.Scene`` is a bank with its Redis, on which such processes run.
    """

    def __init__(self, folder: Path, workers: int = 2, prefect_url: str | None = None) -> None:
        self.folder, self.workers = folder, workers
        self._prefect_url = prefect_url
        self._cleanup, self._lock, self._numbers = ExitStack(), threading.RLock(), 0
        self.until: float | None = None
        """Of the monotonic clock: ``side_by_side`` begins no further trial after it."""
        self.reader = Figures()
        """What all readers saw; a scene adds its reader's when it ends."""

    @cached_property
    def prefect_url(self) -> str:
        """A Prefect server for all runs."""
        with self._lock:
            if self._prefect_url is None:
                server = PrefectServer(self.new_folder("prefect"))
                self._prefect_url = self._cleanup.enter_context(server.start()).url
            return self._prefect_url

    @property
    def forks(self) -> Forks:
        """What starts ``prefetch`` processes."""
        with self._lock:
            return self._forks

    @property
    def stack(self) -> Stack:
        """PostgreSQL and MongoDB, for all scenes that want servers."""
        with self._lock:
            return self._stack

    @cached_property
    def _forks(self) -> Forks:
        return self._cleanup.enter_context(Forks())

    @cached_property
    def _stack(self) -> Stack:
        started = Stack.start(self.new_folder("stack"), ("postgres", "mongodb"), environ={})
        return self._cleanup.enter_context(started)

    def new_folder(self, name: str) -> Path:
        """An empty folder of the caller's own."""
        with self._lock:
            self._numbers += 1
            folder = self.folder / f"{name}-{self._numbers}"
        folder.mkdir(parents=True)
        return folder

    def redis(self, **options: Any) -> RedisServer:
        """A new Redis, not yet started; the caller ends it (``with ground.redis() as …``)."""
        return RedisServer(self.new_folder("redis"), **options)

    def side_by_side(self, work: Callable[[Iterator[int]], Outcome], trials: int) -> Outcome:
        """Trials on all cores: each worker gets an iterator of numbers, shared with the others.

        Args:
            work: holds a trial for each number; makes its scene once.
        """
        numbers, lock = iter(range(trials)), threading.Lock()

        def shared() -> Iterator[int]:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None or (self.until and time.monotonic() > self.until):
                    return
                if number and number % max(1, trials // 10) == 0:
                    sys.stderr.write(f"  {number} of {trials} begun\n")
                yield number

        outcome = Outcome()
        with ThreadPoolExecutor(self.workers) as pool:
            parts = [pool.submit(work, shared()) for _ in range(min(self.workers, trials))]
            try:
                for part in parts:
                    outcome += part.result()
            except BaseException:
                self.until = time.monotonic()  # the others begin no more trials
                raise
        return outcome

    def add_reader(self, figures: Figures) -> None:
        """Adds what a reader saw."""
        with self._lock:
            self.reader += figures

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()


@contextmanager
def ground(workers: int = 2) -> Iterator[Ground]:
    """A ground in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        Ground(Path(folder), workers) as it,
    ):
        yield it
