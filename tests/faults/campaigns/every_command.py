"""The loader is killed with -9 at every Redis command of a small run, and run again."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.campaign import Ground, Outcome
from tests.faults.killing import again, counter, judge_killed
from tests.faults.nemesis import AtCommand
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene

NAME = "every_command"
TITLE = "loader killed with -9 at each Redis command"
TRIALS = 240
USERS, BUCKETS = 16, 2
MOVE = {"changed": 0.5, "joining": 0.1, "leaving": 0.1}


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Kills runs just before, or just behind, a command; the commands are spread evenly.

    With fewer trials than a run has commands only every k-th has its turn.
    """

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with Scene(ground, seed, USERS, buckets=BUCKETS) as scene:
            scene.judge_success(outcome, scene.run(), "first run")
            commands = _commands(scene, outcome)
            step = max(1.0, commands / trials)
            for number in numbers:
                _trial(scene, 1 + int(number * step) % commands, number % 2 == 0, outcome)
        outcome.notes["commands"] = f"every {step:.1f}th of about {commands}"
        return outcome

    return ground.side_by_side(work, trials)


def _commands(scene: Scene, outcome: Outcome) -> int:
    """How many commands a run has."""
    scene.move(**MOVE)
    with Proxy(scene.redis.port) as proxy:
        at = AtCommand(proxy, 0, lambda: None, passing=True)
        scene.judge_success(outcome, scene.run(REDIS_URL=proxy.url), "counting run")
        return at.seen


def _trial(scene: Scene, number: int, passing: bool, outcome: Outcome) -> None:
    versions = [scene.universe.version, scene.universe.version + 1]
    scene.move(**MOVE)
    scene.reader.expect(versions)
    epoch = counter(scene)
    place = f"command {number}, {'passed on' if passing else 'swallowed'}"
    with Proxy(scene.redis.port) as proxy:
        process = scene.start(REDIS_URL=proxy.url)
        AtCommand(proxy, number, process.kill, passing=passing)
        ended = scene.ended(process)
    judge_killed(scene, outcome, ended, versions, place, epoch)
    again(scene, outcome, place)
