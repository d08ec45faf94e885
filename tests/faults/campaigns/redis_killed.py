"""Redis with an AOF is killed with -9 in the middle of a run, and comes back.

In half of the trials the end of the AOF is missing then, up to all that the run has written: so a
machine that loses power leaves it. One run in ten is a whole ``prefetch run``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.faults.banks import AOF, Bank, SmallBank, WholeBank
from tests.faults.campaign import Ground, Outcome
from tests.faults.server_trial import AtBytes, hold

NAME = "redis_killed"
TITLE = "Redis killed with -9, AOF everysec"
TRIALS = 200
USERS = 300
WHOLE = 10
"""Every tenth trial is a whole run."""


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Kills Redis at a byte of a run; the run's success must be one."""
    outcome = Outcome()
    whole = trials // WHOLE
    for kind, number, first in (
        (SmallBank, trials - whole, seed),
        (WholeBank, whole, seed + trials),
    ):

        def work(numbers: Iterator[int], kind: type[Bank] = kind, first: int = first) -> Outcome:
            mine = Outcome()
            server = ground.redis(extra_args=AOF)
            with kind(ground, first, USERS, [server]) as bank:
                first_run = bank.run()
                assert first_run.success, first_run.error
                bank.move()
                size = bank.size_of_a_run()
                for place in numbers:
                    trial(bank, first + place, size, mine)
            return mine

        if number:
            outcome += ground.side_by_side(work, number)
    return outcome


def trial(bank: Bank, seed: int, size: int, outcome: Outcome) -> None:
    """One trial; a part of the AOF that is cut off is never older than the trial."""
    begins = _size(_file(bank))

    def kill(chance: random.Random, _times: int) -> bool:
        bank.primary.kill()
        if chance.random() < 0.5:
            file = _file(bank)
            os.truncate(file, chance.randint(min(begins, _size(file)), _size(file)))
        bank.primary.start()
        return False

    hold(bank, seed, outcome, AtBytes(bank, size, kill))


def _file(bank: Bank) -> Path:
    """What Redis appends to."""
    return max((bank.primary.data / "appendonlydir").glob("*.incr.aof"))


def _size(file: Path) -> int:
    return file.stat().st_size
