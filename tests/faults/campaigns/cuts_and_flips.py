"""Connections are cut, and bytes flipped, at any byte of what the writer and the check say."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from pathlib import Path
from traceback import extract_tb

import redis

from core.errors import PrefetchError, TargetUnfit
from tests.faults.campaign import Ground, Outcome
from tests.faults.proxy import Direction, Fault, Kind, Proxy
from tests.faults.small_run import SmallScene

NAME = "cuts_and_flips"
TITLE = "connections cut, bytes flipped, at any byte"
TRIALS = 2_000
USERS, BUCKETS = 40, 2
MOVE = {"changed": 0.5, "joining": 0.05, "leaving": 0.05}
HANGS_S = 60.0
TIMES = 3
"""How often a run may be repeated once the fault is gone: a fence may have to run out first."""

KINDS: list[Kind] = [*["cut"] * 9, *["flip"] * 9, "delay", "blackhole"]
MANY: dict[Direction, str] = {"request": "requests", "reply": "replies"}
REPAIR = re.compile(r"repair it with SET (\S+) (\d+)")


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """One fault in each small run, at a byte on a seed; afterwards a run without one."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome()
        with (
            SmallScene(ground, seed, USERS, BUCKETS) as scene,
            Proxy(scene.redis.port) as proxy,
            ThreadPoolExecutor(1) as pool,
        ):
            trial = _Trials(scene, proxy, pool, outcome)
            trial.measure()
            for number in numbers:
                trial.hold(seed + number)
        return outcome

    return ground.side_by_side(work, trials)


class _Trials:
    """Some trials on one scene."""

    def __init__(
        self, scene: SmallScene, proxy: Proxy, pool: ThreadPoolExecutor, outcome: Outcome
    ) -> None:
        self.scene, self.proxy, self.pool, self.outcome = scene, proxy, pool, outcome
        self.sizes: dict[Direction, int] = {}

    def measure(self) -> None:
        """Counts the bytes of a usual run."""
        self.scene.run(self.proxy.url)
        self.scene.move(**MOVE)
        passed = dict(self.proxy.passed)
        self.scene.run(self.proxy.url)
        self.sizes = {way: self.proxy.passed[way] - passed[way] for way in passed}

    def hold(self, seed: int) -> None:
        """One trial."""
        scene, outcome, chance = self.scene, self.outcome, random.Random(seed)
        old = scene.universe.version
        scene.move(**MOVE)
        kind, way = chance.choice(KINDS), chance.choice(list(self.sizes))
        fault = Fault(kind, way, chance.randrange(self.sizes[way]), 1 << chance.randrange(8), 0.1)
        damaged = kind == "flip" and way == "request"
        place = f"seed {seed}: {kind} at byte {fault.at} of the {MANY[way]}"
        scene.reader.expect([old, old + 1], damaged=damaged)
        outcome.trials += 1
        self.proxy.arm(fault)
        success, unwritten = self._run(place, proxied=True)
        self.proxy.arm(None)
        outcome.bitten += fault.struck.is_set()
        kept = outcome.notes.setdefault(f"{kind} in {MANY[way]}", {"trials": 0, "success": 0})
        kept["trials"] += 1
        kept["success"] += success
        if success and not unwritten:
            outcome.judged(scene.judge.exact(scene.world, damaged=damaged), place)
        else:
            outcome.judged(scene.judge.settled([old, old + 1], damaged=damaged), place)
        self._repeat(place)
        if damaged:
            self._forget_made_up()
        outcome.judged(scene.judge.exact(scene.world), f"{place}, again")
        scene.reader.expect([old + 1])

    def _repeat(self, place: str) -> None:
        for _ in range(TIMES):
            success, unwritten = self._run(f"{place}, again", proxied=False)
            if success and not unwritten:
                return
            time.sleep(0.4)
        self.outcome.violated("lost", f"{place}: no success in {TIMES} repetitions")
        # Whatever it was, the next trials begin afresh.
        with redis.Redis.from_url(self.scene.redis.url) as client, self.scene.reader.outage():
            client.execute_command("FLUSHALL", "SYNC")
            self.scene.judge.forget()
            self.scene.run()

    def _run(self, place: str, *, proxied: bool) -> tuple[bool, dict[str, str]]:
        """Whether a run says success, and the users whom it says it could not write."""
        made = self.pool.submit(self.scene.run, self.proxy.url if proxied else None)
        try:
            return True, made.result(HANGS_S)
        except StillRunning:
            self.outcome.violated("hangs", f"{place}: more than {HANGS_S:.0f} s")
            made.exception(10 * HANGS_S)
            return False, {}
        except PrefetchError as error:
            told = self.outcome.notes.setdefault("errors", {})
            name = type(error).__name__
            told[name] = told.get(name, 0) + 1
            self._repaired(error)
            if not proxied:
                self.outcome.notes.setdefault("again", []).append(f"{place}: {error}")
            return False, {}
        except Exception as error:
            frame = extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            self.outcome.violated("unforeseen", f"{place}: {type(error).__name__} at {where}")
            return False, {}

    def _repaired(self, error: PrefetchError) -> None:
        """Does what the error says that a person must do."""
        if isinstance(error, TargetUnfit) and (found := REPAIR.search(str(error))):
            with redis.Redis.from_url(self.scene.redis.url) as client:
                client.set(*found.groups())
            self.outcome.notes["counter repaired"] = (
                self.outcome.notes.get("counter repaired", 0) + 1
            )

    def _forget_made_up(self) -> None:
        """Removes fences of buckets that there are not: a flipped bit named them, no run looks there."""
        keys = self.scene.keys
        there = {name(bucket) for bucket in range(BUCKETS) for name in (keys.fence, keys.alive)}
        with redis.Redis.from_url(self.scene.redis.url) as client:
            for key in self.scene.judge.fences():
                if key.encode() not in there:
                    self.outcome.notes["made up"] = self.outcome.notes.get("made up", 0) + 1
                    client.delete(key)
