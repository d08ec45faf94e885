"""The loader is killed with -9 at a random moment of a run over 2,000 users, and run again."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.campaign import Ground, Outcome
from tests.faults.killing import again, counter, judge_killed
from tests.faults.nemesis import Nemesis
from tests.faults.scene import Scene

NAME = "loader_killed"
TITLE = "loader killed with -9 at random, 2,000 users"
TRIALS = 200
USERS = 2_000
EARLY = 0.2
"""The share of kills before the run has its epoch."""


def run(trials: int, seed: int, ground: Ground, users: int = USERS) -> Outcome:
    """Kills runs in different phases; what they leave must be whole, and a repetition right."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with Scene(ground, seed, users) as scene:
            first = scene.run()
            scene.judge_success(outcome, first, "first run")
            # From the epoch to the end of the process.
            span = sum(first.report.get("steps", {}).values()) + 0.3
            for number in numbers:
                _trial(scene, seed + number, span, outcome)
        return outcome

    return ground.side_by_side(work, trials)


def _trial(scene: Scene, seed: int, span: float, outcome: Outcome) -> None:
    versions = [scene.universe.version, scene.universe.version + 1]
    scene.move()
    scene.reader.expect(versions)
    nemesis, epoch = Nemesis(seed), counter(scene)
    process = scene.start()
    if nemesis.random.random() < EARLY:
        nemesis.kill_after(process, nemesis.random.uniform(0, 1))
    else:
        at = nemesis.random.uniform(0, span)
        while process.poll() is None and counter(scene) == epoch:
            time.sleep(0.005)
        nemesis.kill_after(process, at)
    judge_killed(scene, outcome, scene.ended(process), versions, f"seed {seed}", epoch)
    again(scene, outcome, f"seed {seed}")
