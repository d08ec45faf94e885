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
TRIALS = 160
USERS, BUCKETS = 16, 2
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, leave no large gaps."""

MOVE = {"changed": 0.5, "joining": 0.1, "leaving": 0.1}


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Kills runs just before, or just behind, a command.

    However many trials there are, their commands are spread evenly; a seed that is one trial
    further goes on where the trial before would have.
    """

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with Scene(ground, seed, USERS, buckets=BUCKETS) as scene:
            scene.judge_success(outcome, scene.run(), "first run")
            commands = _commands(scene, outcome)
            for number in numbers:
                place = int((seed + number) * GOLDEN % 1 * commands)
                _trial(scene, 1 + place, (seed + number) % 2 == 0, outcome)
        outcome.notes["commands"] = f"a run has about {commands}"
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
