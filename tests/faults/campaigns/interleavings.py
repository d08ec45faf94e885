"""Two writers of one user: every order of their commands at the server, on a real one.

A trial is a scenario: which writers, what Redis holds before, and what may happen meanwhile
(``interleaving/scenarios.py``). What the table counts are the schedules that were played; the
notes say how many states they led to, and how many orders these stand for.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from devstack import RedisServer
from tests.faults.campaign import Ground, Outcome
from tests.faults.interleaving import scenarios
from tests.faults.interleaving.exploring import Explored, explore
from tests.faults.interleaving.installing import installed
from tests.faults.interleaving.world import World
from tests.faults.interleaving.writers import KEYS

NAME = "interleavings"
TITLE = "every interleaving of two writers, schedules played"
TRIALS = len(scenarios.everything())


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Explores scenarios; ``seed`` is the number of the first one, so that they can be split."""
    every = scenarios.everything()
    numbers = [(seed - 1 + number) % len(every) for number in range(min(trials, len(every)))]
    outcome = Outcome(notes={"scenarios": 0, "states": 0, "commands": 0, "orders": 0})
    folders = [(number, str(ground.new_folder("interleavings"))) for number in numbers]
    fork = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(ground.workers, fork) as pool:
        for explored in pool.map(_explored, folders):
            _count(outcome, explored)
    return outcome


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A Redis on which schedules are played."""
    path = str(folder / "socket")
    with RedisServer(folder / "redis", extra_args=["--unixsocket", path]):
        made = World(path, KEYS)
        with installed(made):
            yield made


def _explored(task: tuple[int, str]) -> Explored:
    number, folder = task
    with world(Path(folder)) as made:
        return explore(made, scenarios.everything()[number])


def _count(outcome: Outcome, explored: Explored) -> None:
    outcome.trials += explored.schedules
    outcome.bitten += explored.schedules
    outcome.notes["scenarios"] += 1
    outcome.notes["states"] += explored.states
    outcome.notes["commands"] += explored.commands
    outcome.notes["orders"] += float(explored.orders)
    if explored.violation is not None:
        text = f"{explored.name}: {explored.violation}: " + "; ".join(explored.path)
        outcome.violated(explored.violation.kind, text)
    elif not explored.is_whole:
        outcome.failures.append(f"{explored.name} was not explored to its end")
