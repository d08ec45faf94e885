"""Redis killed, emptied and replaced under a run, a few times each; ``make faults`` does it often.

And the checker is checked: a run that does not look whether Redis stayed the same is caught.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from store.continuity import Continuity
from store.facts import Server
from tests.faults import banks, small_run
from tests.faults.banks import AOF, SmallBank, WholeBank
from tests.faults.campaign import Ground, Outcome
from tests.faults.campaigns import redis_emptied, redis_killed, replica_promoted

SEED = 40_000
USERS = 120


def _small(ground: Ground, options: dict[str, Any]) -> SmallBank:
    return SmallBank(ground, SEED, USERS, [ground.redis(**options)])


def _tried(
    bank: SmallBank | WholeBank, trial: Callable[..., None], trials: int, name: str
) -> Outcome:
    sys.stderr.write(f"{name}: seeds {SEED} to {SEED + trials - 1}\n")
    outcome = Outcome()
    assert bank.run().success
    bank.move()
    size = bank.size_of_a_run()
    for number in range(trials):
        trial(bank, SEED + number, size, outcome)
    return outcome


def test_redis_killed(ground: Ground) -> None:
    with _small(ground, {"extra_args": AOF}) as bank:
        outcome = _tried(bank, redis_killed.trial, 3, "redis_killed")
        assert outcome.reasons == [], outcome.examples
        assert outcome.notes["success after another load and check"] >= 1
        assert not bank.reader.figures.verdict, bank.reader.figures.verdict.examples


def test_redis_emptied(ground: Ground) -> None:
    with _small(ground, {}) as bank:
        outcome = _tried(bank, redis_emptied.trial, 3, "redis_emptied")
        assert outcome.reasons == [], outcome.examples
        assert outcome.notes["success"] < 3


def test_a_replica_promoted(ground: Ground) -> None:
    outcome = replica_promoted.behind_proxy(ground, SEED, iter(range(2)))
    assert outcome.reasons == [], outcome.examples
    assert outcome.notes["success after another load and check"] >= 1


def test_a_whole_run_outlives_a_restart(ground: Ground) -> None:
    """Through the flow: its tasks, its threads, its report."""
    with WholeBank(ground, SEED, USERS, [ground.redis(extra_args=AOF)]) as bank:
        outcome = _tried(bank, redis_killed.trial, 1, "redis_killed, a whole run")
        assert outcome.reasons == [], outcome.examples
        assert outcome.bitten == 1


@pytest.mark.parametrize("looks", [True, False])
def test_who_does_not_look_in_the_end_is_caught(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    """All is loaded and checked, then the primary dies, and its replica had stopped before."""

    def blindly(_self: Continuity, work: Callable[[Server | None], Any], _again: object) -> None:
        work(None)

    first = ground.redis()
    with SmallBank(ground, SEED, USERS, [first, ground.redis(replica_of=first)]) as bank:
        assert bank.run().success
        replica_promoted.pair_up(bank)
        bank.move(changed=0.5)
        if not looks:
            monkeypatch.setattr(Continuity, "keep", blindly)
        attempts = []

        def attempt(*given: Any) -> None:
            if not attempts:
                replica_promoted.stop_following(bank)
            small_run.attempt(*given)
            if not attempts:
                replica_promoted.promote(bank)
            attempts.append(1)

        monkeypatch.setattr(banks, "attempt", attempt)
        result = bank.run()
        assert result.success, result.error
        verdict = bank.judge.exact(bank.world)
        assert (len(attempts), bool(verdict)) == ((2, False) if looks else (1, True))
