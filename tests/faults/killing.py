"""What is asked of a run that was killed with -9, and of its repetition."""

from __future__ import annotations

import json
import signal
from typing import Any

import redis

from tests.faults.campaign import Outcome
from tests.faults.judge import CONTROL, NOTHING
from tests.faults.runs import Ended
from tests.faults.scene import Scene

MENDS = 3
PHASES = ("before any write", "in mid-load", "after all writes")


def counter(scene: Scene) -> int:
    """The epoch counter."""
    with redis.Redis.from_url(scene.redis.url) as client:
        return int(client.get(CONTROL + "epoch") or 0)


def judge_killed(
    scene: Scene, outcome: Outcome, ended: Ended, versions: list[int], place: str, epoch: int
) -> None:
    """Judges what a killed run has left; counts the trial, the bite, and the phase.

    Args:
        versions: of the bank before the run, and the one that it was to load.
        epoch: the counter before the run.
    """
    outcome.trials += 1
    killed = ended.code == -signal.SIGKILL
    outcome.bitten += killed
    outcome.judged(scene.judge.settled(versions), f"{place}, killed")
    if not killed and not ended.success:
        outcome.violated("lost", f"{place}: ended with {ended.code} by itself")
    done = _writes_done(scene, versions)
    if killed:
        phase = PHASES[0] if done == 0 else PHASES[2] if done == 1 else PHASES[1]
        outcome.notes[phase] = outcome.notes.get(phase, 0) + 1
    if done < 1 and (ended.success or _says_success(scene, epoch)):
        outcome.violated("false_success", f"{place}: success with {done:.0%} of the changes")


def again(scene: Scene, outcome: Outcome, place: str) -> None:
    """Runs again what a killed run has left, which must end right at once.

    Where it does not, that counts, and further runs set right what the next trial begins with.
    """
    ended = scene.run()
    scene.judge_success(outcome, ended, f"{place}, again")
    for _ in range(MENDS):
        if ended.success:
            break
        ended = scene.run()
    scene.reader.expect([scene.universe.version])


def _writes_done(scene: Scene, versions: list[int]) -> float:
    """The share of the users who differ in both versions, of whom Redis holds the later one."""
    old, new = (scene.history.worlds[version] for version in versions)
    found = scene.judge.look()
    differing = [user for user in {*old.users, *new.users} if old.of(user) != new.of(user)]
    done = sum(found.get(user, NOTHING).pair == new.of(user) for user in differing)
    return done / len(differing)


def _says_success(scene: Scene, epoch: int) -> bool:
    """Whether a report of a later epoch than this says success."""
    with redis.Redis.from_url(scene.redis.url) as client:
        text: Any = client.lindex(CONTROL + "runs", 0)
    report = json.loads(text) if text else {}
    return (report.get("epoch") or 0) > epoch and report.get("status") == "success"
