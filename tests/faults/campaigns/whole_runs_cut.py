"""As ``cuts_and_flips``, but in whole runs: preflight, leavers, sweep and reports, too."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Iterator

import redis

from tests.faults.campaign import Ground, Outcome
from tests.faults.proxy import Direction, Fault, Kind, Proxy
from tests.faults.runs import Ended
from tests.faults.scene import Scene

NAME = "whole_runs_cut"
TITLE = "the same in whole runs"
TRIALS = 80
USERS, BUCKETS = 60, 4
MOVE = {"changed": 0.5, "joining": 0.05, "leaving": 0.05}
ENDS_S = 240.0
TIMES = 3
KINDS: list[Kind] = ["cut", "flip"]
REPAIR = re.compile(r"repair it with SET (\S+) (\d+)")


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """One fault in each run, at a byte on a seed; afterwards a run without one."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with (
            Scene(ground, seed, USERS, buckets=BUCKETS) as scene,
            Proxy(scene.redis.port) as proxy,
        ):
            scene.judge_success(outcome, scene.run(), "first run")
            sizes = _sizes(scene, proxy, outcome)
            for number in numbers:
                _trial(scene, proxy, sizes, seed + number, outcome)
        return outcome

    return ground.side_by_side(work, trials)


def _sizes(scene: Scene, proxy: Proxy, outcome: Outcome) -> dict[Direction, int]:
    """How many bytes a run says and hears."""
    scene.move(**MOVE)
    scene.judge_success(outcome, scene.run(REDIS_URL=proxy.url), "counting run")
    return {"request": proxy.passed["request"], "reply": proxy.passed["reply"]}


def _trial(
    scene: Scene, proxy: Proxy, sizes: dict[Direction, int], seed: int, outcome: Outcome
) -> None:
    old, chance = scene.universe.version, random.Random(seed)
    scene.move(**MOVE)
    kind, way = chance.choice(KINDS), chance.choice(list(sizes))
    fault = Fault(kind, way, chance.randrange(sizes[way]), 1 << chance.randrange(8))
    damaged = kind == "flip" and way == "request"
    place = f"seed {seed}: {kind} at byte {fault.at} of the {way} bytes"
    scene.reader.expect([old, old + 1], damaged=damaged)
    outcome.trials += 1
    proxy.arm(fault)
    process = scene.start(REDIS_URL=proxy.url, PREFETCH_REDIS_TIMEOUT_S="1")
    try:
        ended = scene.ended(process, ENDS_S)
    except subprocess.TimeoutExpired:
        outcome.violated("hangs", f"{place}: more than {ENDS_S:.0f} s")
        ended = Ended(-9, {}, "")
    proxy.arm(None)
    outcome.bitten += fault.struck.is_set()
    outcome.notes["success"] = outcome.notes.get("success", 0) + ended.success
    if ended.success and not ended.report["quarantined"]:
        outcome.judged(scene.judge.exact(scene.world), place)
    else:
        outcome.judged(scene.judge.settled([old, old + 1], damaged=damaged), place)
        _repair(scene, ended)
    scene.judge_stage(outcome, place)
    _again(scene, outcome, place)
    scene.reader.expect([old + 1])


def _repair(scene: Scene, ended: Ended) -> None:
    """Does what the error says that a person must do."""
    if found := REPAIR.search(str(ended.report.get("error"))):
        with redis.Redis.from_url(scene.redis.url) as client:
            client.set(*found.groups())


def _again(scene: Scene, outcome: Outcome, place: str) -> None:
    for left in reversed(range(TIMES)):
        ended = scene.run()
        if ended.success or not left:
            scene.judge_success(outcome, ended, f"{place}, again")
            return
        outcome.notes["failed again"] = outcome.notes.get("failed again", 0) + 1
        _repair(scene, ended)
        time.sleep(1)
