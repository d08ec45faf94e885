"""Redis keeps nothing on disk, is killed in the middle of a run, and comes back empty.

The epoch is lost with everything else, so no run may go on: it says so, and a new one loads all.
One run in ten is a whole ``prefetch run``. In a quarter of the trials nobody restarts it: somebody
says ``FLUSHALL``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import redis

from tests.faults.banks import Bank, SmallBank, WholeBank
from tests.faults.campaign import Ground, Outcome
from tests.faults.server_trial import AtBytes, hold

NAME = "redis_emptied"
TITLE = "Redis restarted empty, or flushed"
TRIALS = 120
USERS = 300
WHOLE = 10
"""Every tenth trial is a whole run."""

FLUSHED = 0.25


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Empties Redis at a byte of a run; no run that this has struck may say success."""
    outcome = Outcome()
    whole = trials // WHOLE
    kinds = ((SmallBank, trials - whole, seed), (WholeBank, whole, seed + trials))
    for kind, number, first in kinds:

        def work(numbers: Iterator[int], kind: type[Bank] = kind, first: int = first) -> Outcome:
            mine = Outcome()
            with kind(ground, first, USERS, [ground.redis()]) as bank:
                assert bank.run().success
                bank.move()
                size = bank.size_of_a_run()
                for place in numbers:
                    trial(bank, first + place, size, mine)
            return mine

        if number:
            outcome += ground.side_by_side(work, number)
    return outcome


def trial(bank: Bank, seed: int, size: int, outcome: Outcome) -> None:
    """One trial."""

    def empty(chance: random.Random, _times: int) -> bool:
        if chance.random() < FLUSHED:
            with redis.Redis.from_url(bank.primary.url) as client:
                client.execute_command("FLUSHALL", "SYNC")
        else:
            bank.primary.kill()
            bank.primary.start()
        return False

    # A run that is refused has written nothing to the empty Redis; one that had not drawn its
    # epoch yet may load all of it.
    hold(bank, seed, outcome, AtBytes(bank, size, empty), lambda old: [0, old + 1])
