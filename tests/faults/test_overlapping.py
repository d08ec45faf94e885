"""Writers that meet: a few trials of the campaigns, and what an older run must not leave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.campaign import Ground, Outcome
from tests.faults.campaigns import overlapping, stalled_and_late
from tests.faults.campaigns.overlapping import PAUSING
from tests.faults.nemesis import Nemesis, standing
from tests.faults.scene import Scene

SEED = 4711
USERS = 60


def passed(outcome: Outcome, trials: int) -> None:
    assert (outcome.reasons, outcome.examples, outcome.trials) == ([], [], trials), f"seed {SEED}"


def test_a_stalled_writer_and_late_bytes_change_nothing(ground: Ground) -> None:
    passed(stalled_and_late.run(8, SEED, ground), 8)


def test_overlapping_writers_leave_the_newest(ground: Ground) -> None:
    passed(overlapping.run(8, SEED, ground), 8)


@pytest.fixture
def scene(ground: Ground) -> Iterator[Scene]:
    with Scene(ground, SEED, USERS, buckets=2, reading=False) as made:
        yield made


def leaving(scene: Scene) -> str:
    """The bank moves on, and somebody leaves whom Redis does not hold yet."""
    moved = scene.move(changed=0.2, joining=0.0, leaving=0.05)
    return str(min(moved.left))


def test_whom_an_older_run_loads_after_the_newer_one_has_looked_does_not_stay(
    scene: Scene,
) -> None:
    older = scene.start(program=PAUSING)
    assert standing(older)
    user = leaving(scene)
    newer = scene.start(program=PAUSING)
    assert standing(newer)
    Nemesis.wake(older)
    assert scene.ended(older).success
    assert user in scene.judge.look()
    Nemesis.wake(newer)
    ended = scene.ended(newer)
    assert (ended.success, ended.report["removed"]) == (True, 3)
    assert scene.judge.exact(scene.world).examples == []


def test_whom_a_newer_backfill_does_not_know_an_older_run_does_not_bring(scene: Scene) -> None:
    older = scene.start(program=PAUSING)
    assert standing(older)
    user = leaving(scene)
    backfill = scene.run("backfill", "--user", user)
    assert (backfill.success, backfill.report["removed"]) == (True, 0)
    Nemesis.wake(older)
    assert scene.ended(older).success
    found = scene.judge.look()
    assert user not in found
    assert len(found) == USERS - 1
