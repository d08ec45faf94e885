"""What the fence costs: whole runs, against runs whose lanes neither WATCH nor GET it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import redis

from tests.faults.campaign import Ground, Outcome
from tests.faults.scene import Scene
from tests.forked import MAIN

NAME = "fence_cost"
TITLE = "cost of the fence, end to end (pairs of runs)"
TRIALS = 10
USERS, BUCKETS = 20_000, 64
MOST = 0.10

MEASURED = f"""
import os, resource
try:
{"".join(f"    {line}" for line in MAIN.splitlines(keepends=True))}
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(os.environ["CPU_FILE"], "w") as file:
        file.write(str(used.ru_utime + used.ru_stime))
"""
UNFENCED = f"""
from store import lanes
lanes.watch_and_get = lambda key: b""
lanes.Lane.arm = lambda lane, fence, found: lane.wire.open()
lanes.Lane._replied = lambda lane: (lane.wire.answers(lane._replies + 2, "JSON.SET")[-1], None)
lanes.Lane._compare = lambda lane, fence, found: None
{MEASURED}
"""


@dataclass(frozen=True)
class Cost:
    """Seconds that one run took, and how often it looked at a fence."""

    run_wall: float
    load_wall: float
    loader_cpu: float
    redis_cpu: float
    watches: int

    @property
    def cpu(self) -> float:
        """Of the loader and of Redis."""
        return self.loader_cpu + self.redis_cpu


def run(trials: int, seed: int, ground: Ground, users: int = USERS) -> Outcome:
    """Pairs of runs into an empty Redis, one of them without fence, each first in turn.

    The cost is the median over the pairs of what the fenced run took more.
    """
    outcome, pairs = Outcome(), []
    with Scene(ground, seed, users, buckets=BUCKETS, reading=False) as scene:
        _timed(scene, MEASURED, outcome)  # whatever is slower at first
        for number in range(trials):
            both: dict[str, Cost] = {}
            for program in (MEASURED, UNFENCED) if number % 2 else (UNFENCED, MEASURED):
                both[program] = _timed(scene, program, outcome)
            with_fence, without = both[MEASURED], both[UNFENCED]
            outcome.trials += 1
            # Either watches a bucket's fence to take it and to give it back; with a fence the lane
            # does, too, and again behind each batch.
            outcome.bitten += with_fence.watches > 1.5 * without.watches > 0
            pairs.append((with_fence, without))
    _tell(outcome, pairs, users)
    return outcome


def _timed(scene: Scene, program: str, outcome: Outcome) -> Cost:
    file = scene.folder / "cpu"
    with redis.Redis.from_url(scene.redis.url, decode_responses=True) as client:
        client.execute_command("FLUSHALL", "SYNC")
        client.config_resetstat()
        scene.judge.forget()
        before = _redis_cpu(client)
        started = time.monotonic()
        ended = scene.run(program=program, CPU_FILE=str(file))
        wall = time.monotonic() - started
        cpu = _redis_cpu(client) - before
        calls: Any = client.info("commandstats")
    scene.judge_success(outcome, ended, "timed run")
    return Cost(
        wall,
        float(ended.report["steps"]["load"]),
        float(file.read_text()),
        cpu,
        int(calls.get("cmdstat_watch", {}).get("calls", 0)),
    )


def _redis_cpu(client: redis.Redis) -> float:
    told: Any = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def _tell(outcome: Outcome, pairs: list[tuple[Cost, Cost]], users: int) -> None:
    """Puts the medians into the notes; more than may be is a failure of the row."""
    for what, name in (
        ("cpu", "CPU of loader and Redis"),
        ("run_wall", "wall time of the run"),
        ("load_wall", "wall time of the load alone"),
        ("redis_cpu", "CPU of Redis alone"),
    ):
        more = sorted(getattr(a, what) / getattr(b, what) - 1 for a, b in pairs)
        typical = median(getattr(a, what) for a, _ in pairs)
        outcome.notes[name] = (
            f"{median(more):+.1%} (from {more[0]:+.1%} to {more[-1]:+.1%}) of {typical:.2f} s, "
            f"{users:,} users"
        )
        if what in ("cpu", "run_wall") and median(more) > MOST:
            outcome.failures.append(f"{name}: {median(more):+.1%}, more than {MOST:.0%}")
