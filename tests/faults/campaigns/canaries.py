"""Runs over a bank in which every value and every secret is a canary: none may be found outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

from devstack import MariaDBServer, MongoServer, PostgresServer, PrefectServer, RedisServer
from tests.faults.campaign import Ground, Outcome
from tests.programs import started
from tests.security.canaries import PASSWORD_OF, CanaryBank, Hosts
from tests.security.canary_runs import Place, leaks_of, trials
from tests.security.leaks import in_prefect

NAME = "canaries"
TITLE = "canaries in every column and secret"
TRIALS = 2 * len(trials())
SETTLE_S = 3.0
"""What Prefect's server takes to write the last that it was told."""


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Holds ``trials`` runs, round by round; Prefect is searched once they are over."""
    folder, names, lock = ground.new_folder("canaries"), count(1), threading.Lock()
    with (
        PostgresServer(folder / "postgres") as postgres,
        started(MariaDBServer(folder / "mariadb")) as mariadb,
        MongoServer(folder / "mongodb", user="root", password="root") as mongodb,  # noqa: S106
        PrefectServer(folder / "prefect") as prefect,
    ):
        hosts = Hosts(postgres.url, mariadb.url, mongodb.url, locked=True)

        def work(numbers: Iterator[int]) -> Outcome:
            with lock:
                name = f"canaries{next(names)}"
            with RedisServer(folder / name / "redis", password=PASSWORD_OF["redis"]) as target:
                bank = CanaryBank(hosts, folder / name / "bank", name)
                place = Place(bank, target, ground.forks, prefect.url, folder / name)
                return _held(place, numbers, seed)

        outcome = ground.side_by_side(work, trials)
        time.sleep(SETTLE_S)
        for text in in_prefect(prefect.url, prefect.data / "prefect.db"):
            outcome.violated("leaked", text)
    return outcome


def _held(place: Place, numbers: Iterator[int], seed: int) -> Outcome:
    outcome = Outcome(notes={"canaries": place.bank.planted})
    every = trials()
    _prepared(place)
    for number in numbers:
        trial = every[number % len(every)]
        place.seed = seed + number
        ended = trial.hold(place)
        outcome.trials += 1
        outcome.bitten += ended.bit
        if not ended.bit:
            outcome.tell(f"{trial.name}: did not bite, code {ended.code}")
        for text in leaks_of(place, trial, ended):
            outcome.violated("leaked", text)
    return outcome


def _prepared(place: Place) -> None:
    """A first night: whichever run comes next finds what it needs."""
    with place.start("run") as process:
        process.communicate(120)
        assert process.wait() == 0
