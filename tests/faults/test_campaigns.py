"""Each campaign with a few trials; ``make faults`` holds the many."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.faults.campaign import Ground
from tests.faults.campaigns import cuts_and_flips, every_command, fence_cost, loader_killed

SEED = 20_000


@pytest.mark.parametrize(
    ("campaign", "trials"), [(cuts_and_flips, 40), (every_command, 3), (loader_killed, 3)]
)
def test_a_few_trials(ground: Ground, campaign: ModuleType, trials: int) -> None:
    sys.stderr.write(f"{campaign.NAME}: seeds {SEED} to {SEED + trials - 1}\n")
    outcome = campaign.run(trials, SEED, ground)
    assert outcome.trials == trials
    assert outcome.reasons == [], outcome.examples
    assert not ground.reader.verdict, ground.reader.verdict.examples


def test_what_the_fence_costs_is_measured_against_a_run_without_it(ground: Ground) -> None:
    outcome = fence_cost.run(1, SEED, ground, users=300)
    assert (outcome.trials, outcome.bitten) == (1, 1)
    assert not outcome.violations, outcome.examples
