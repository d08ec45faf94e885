"""Writers that meet: a few trials of the campaigns, and what an older run must not leave."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Ground, Outcome
from tests.faults.campaigns import overlapping, stalled_and_late
from tests.faults.planted import runs

SEED = 4711


def passed(outcome: Outcome, trials: int) -> None:
    assert (outcome.reasons, outcome.examples, outcome.trials) == ([], [], trials), f"seed {SEED}"


def test_a_stalled_writer_and_late_bytes_change_nothing(ground: Ground) -> None:
    passed(stalled_and_late.run(5, SEED, ground), 5)


def test_overlapping_writers_leave_the_newest(ground: Ground) -> None:
    passed(overlapping.run(5, SEED, ground), 5)


@pytest.mark.parametrize(
    "check", [runs.an_older_run_loads_last_but_one, runs.an_older_run_loads_after_a_backfill]
)
def test_an_older_run_brings_nobody_back(ground: Ground, check: runs.Check) -> None:
    assert check(ground, None) == []
