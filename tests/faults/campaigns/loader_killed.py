"""The loader is killed with -9 at a random moment of a run over 2,000 users, and run again."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.campaign import Ground, Outcome
from tests.faults.killing import again, counter, judge_killed
from tests.faults.nemesis import AtByte, Nemesis
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene

NAME = "loader_killed"
TITLE = "loader killed with -9 at random, 2,000 users"
TRIALS = 200
USERS = 2_000
EARLY = 0.2
"""The share of kills by the clock, before the first write; all others are by bytes, as the time
that a run takes is no sure thing."""


def run(trials: int, seed: int, ground: Ground, users: int = USERS) -> Outcome:
    """Kills runs in different phases; what they leave must be whole, and a repetition right."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with Scene(ground, seed, users) as scene, Proxy(scene.redis.port) as proxy:
            scene.judge_success(outcome, scene.run(), "first run")
            scene.move()
            before = proxy.passed["request"]
            scene.judge_success(outcome, scene.run(REDIS_URL=proxy.url), "counting run")
            size = proxy.passed["request"] - before
            for number in numbers:
                _trial(scene, proxy, size, seed + number, outcome)
        return outcome

    return ground.side_by_side(work, trials)


def _trial(scene: Scene, proxy: Proxy, size: int, seed: int, outcome: Outcome) -> None:
    versions = [scene.universe.version, scene.universe.version + 1]
    scene.move()
    scene.reader.expect(versions)
    nemesis, epoch = Nemesis(seed), counter(scene)
    chance = nemesis.random
    process = scene.start(REDIS_URL=proxy.url)
    if chance.random() < EARLY:
        nemesis.kill_after(process, chance.uniform(0, 1))
    else:
        later = chance.choice([0.0, chance.uniform(0.001, 0.03)])
        AtByte(proxy, chance.randrange(size * 19 // 20), process.kill, later)
    ended = scene.ended(process)
    proxy.on_request = lambda link, data: data
    judge_killed(scene, outcome, ended, versions, f"seed {seed}", epoch)
    again(scene, outcome, f"seed {seed}")
