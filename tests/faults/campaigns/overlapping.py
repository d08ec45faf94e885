"""Nightly runs, backfills and removals of the same users at once, while the bank moves on.

Most trials are the store's writers as processes of their own; every tenth is whole runs.
``bitten`` are those in which two of them were at work at the same time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import combinations

from tests.faults.campaign import Ground, Outcome
from tests.faults.judge import NOTHING, Verdict
from tests.faults.nemesis import Nemesis, standing
from tests.faults.scene import Scene
from tests.faults.storing import Kind, Result, Yard
from tests.forked import MAIN, Forked

NAME = "overlapping"
TITLE = "nightly x nightly, x backfill, x removal, overlapping"
TRIALS = 200
USERS = 150
WHOLE = 10
MIXTURES: tuple[tuple[Kind, ...], ...] = (
    ("nightly", "nightly"),
    ("nightly", "backfill"),
    ("nightly", "removal"),
    ("backfill", "removal"),
    ("backfill", "backfill"),
    ("nightly", "backfill", "removal"),
    ("nightly", "nightly", "backfill"),
)
GONE = 0
"""The version at which nobody is there."""

PAUSING = (
    "import os, signal\nfrom flows import pipeline\ngroups_of = pipeline.groups_of\n"
    "def paused(run):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return groups_of(run)\n"
    "pipeline.groups_of = paused\n" + MAIN
)
"""A run that stands still once it has read all, and knows whom to remove."""


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Every user ends as the newest writer that was about him has seen him."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome(notes={"writers": 0, "refused": 0, "whole runs": 0})
        with ExitStack() as cleanup:
            yard: Yard | None = None
            scene: Scene | None = None
            for number in numbers:
                chance, place = random.Random(seed + number), f"seed {seed + number}"
                outcome.trials += 1
                if number % WHOLE == WHOLE - 1:
                    scene = scene or cleanup.enter_context(_scene(ground, seed + number))
                    whole(scene, outcome, chance, place)
                else:
                    yard = yard or cleanup.enter_context(Yard(ground, seed + number, USERS))
                    _trial(yard, outcome, chance, place)
        return outcome

    return ground.side_by_side(work, trials)


def _trial(yard: Yard, outcome: Outcome, chance: random.Random, place: str) -> None:
    first = yard.run("nightly")
    if first.end != "success":
        outcome.violated("lost", f"{place}: the run before ended with {first.end} {first.error}")
    base = yard.world.version
    kinds = list(chance.choice(MIXTURES))
    chance.shuffle(kinds)
    started: list[tuple[Kind, list[str], Forked]] = []
    for kind in kinds:
        if chance.random() < 0.8:
            yard.move(changed=0.6, leaving=0.1)
        everybody = yard.everybody()
        size = {"nightly": 0, "backfill": len(everybody) // 2, "removal": 1}[kind]
        users = chance.sample(everybody, size)
        # Long enough that the next one draws its epoch before this one has ended.
        pause = chance.uniform(0.3, 0.6)
        started.append((kind, users, yard.start(kind, *users, pause_s=pause)))
        time.sleep(chance.uniform(0, 0.1))
    yard.move(changed=0.6, leaving=0.1)
    results = [(kind, users, yard.ended(process)) for kind, users, process in started]
    outcome.notes["writers"] += len(results)
    outcome.notes["refused"] += sum(result.end == "refused" for _, _, result in results)
    outcome.bitten += _overlap([result for _, _, result in results])
    told = ", ".join(f"{kind} {r.epoch} v{r.version} {r.end}" for kind, _, r in results)
    _judge_writers(outcome, [(kind, r) for kind, _, r in results], f"{place}: {told}")
    outcome.judged(_judge(yard, base, results), f"{place}: {told}")


def _overlap(results: list[Result]) -> bool:
    return any(
        one.drawn < other.ended and other.drawn < one.ended
        for one, other in combinations(results, 2)
    )


def _judge_writers(outcome: Outcome, results: list[tuple[Kind, Result]], place: str) -> None:
    """The newest is never refused; nobody ends in another way than he may; epochs tell views."""
    for _, result in results:
        if result.end not in ("success", "refused"):
            outcome.violated("hangs", f"{place}: {result.error}")
    newest = max((result for _, result in results), key=lambda result: result.epoch)
    if newest.end != "success":
        outcome.violated("lost", f"{place}: the newest writer was refused")
    views = [r for kind, r in results if kind != "removal"]
    for one, other in combinations(views, 2):
        if (one.epoch - other.epoch) * (one.version - other.version) < 0:
            outcome.violated("stale", f"{place}: a higher epoch has an earlier view")


def _judge(yard: Yard, base: int, results: list[tuple[Kind, list[str], Result]]) -> Verdict:
    """Every user against what the writers may have left, by their epochs."""
    verdict, found = Verdict(), yard.judge.look()
    ordered = sorted(results, key=lambda each: each[2].epoch)
    for user in yard.everybody():
        allowed = {base}
        for kind, users, result in ordered:
            if kind != "nightly" and user not in users:
                continue
            version = GONE if kind == "removal" else result.version
            allowed = {version} if result.end == "success" else allowed | {version}
        mine = found.get(user, NOTHING)
        if mine.fault:
            verdict.add("torn", f"user {user}: {mine.fault}")
        elif not yard.history.fitting(user, mine.pair, allowed):
            yard.judge.explain(verdict, user, mine, allowed)
    return verdict


def _scene(ground: Ground, seed: int) -> Scene:
    return Scene(ground, seed, USERS, buckets=4, reading=False)


def whole(scene: Scene, outcome: Outcome, chance: random.Random, place: str) -> None:
    """Two whole runs that know whom to remove before either loads; the older loads first.

    Whoever is in the older one's sources and no longer in the newer one's must not stay.
    """
    outcome.notes["whole runs"] += 1
    scene.move(changed=0.5, joining=0.1, leaving=0.05)
    older = scene.start(program=PAUSING)
    read = standing(older)
    scene.move(changed=0.5, leaving=0.15)
    newer = scene.start(program=PAUSING)
    both = standing(newer) and read
    outcome.bitten += both
    for process in chance.sample([older, newer], 2):
        Nemesis.wake(process)
        time.sleep(chance.choice((0.0, 0.05, 0.5)))
    ends = [scene.ended(process) for process in (older, newer)]
    if not ends[1].success:
        outcome.violated("lost", f"{place}: the newer run: {ends[1].report.get('error')}")
    error = str(ends[0].report.get("error"))
    if not (ends[0].success or "writer stops" in error or "has completed it already" in error):
        outcome.violated("lost", f"{place}: the older run: {error}")
    outcome.judged(scene.judge.exact(scene.world), f"{place}: two runs")
