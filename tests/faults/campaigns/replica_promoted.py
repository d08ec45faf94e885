"""A replica is promoted in the middle of a run, and lacks what the primary acknowledged last.

Behind one address (a proxy, as a load balancer or a name would be): at one byte of the run the
replica stops following, at a later one it becomes the primary and the old one dies. All that was
acknowledged between is gone. One trial in ten goes through three Sentinels, which see for
themselves that the primary was killed.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import redis

from devstack import RedisServer
from tests.faults.banks import Bank, SmallBank
from tests.faults.campaign import Ground, Outcome
from tests.faults.server_trial import AtBytes, hold
from tests.sentinels import Group, group

NAME = "replica_promoted"
TITLE = "replica promoted, acknowledged writes gone"
TRIALS = 100
USERS = 300
SENTINEL = 10
"""Every tenth trial goes through Sentinels."""

STEP_S = 20.0


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Promotes a replica at a byte of a run; the run's success must be one."""
    watched = trials // SENTINEL
    outcome = ground.side_by_side(
        lambda numbers: behind_proxy(ground, seed, numbers), trials - watched
    )
    if watched:
        outcome += _behind_sentinels(ground, seed + trials, watched)
    return outcome


def behind_proxy(ground: Ground, seed: int, numbers: Iterator[int]) -> Outcome:
    """The trials behind one address."""
    outcome = Outcome()
    first = ground.redis()
    servers = [first, ground.redis(replica_of=first)]
    with SmallBank(ground, seed, USERS, servers) as bank:
        assert bank.run().success
        bank.move()
        size = bank.size_of_a_run()
        for number in numbers:
            pair_up(bank)
            trial(bank, seed + number, size, outcome)
    return outcome


def trial(bank: Bank, seed: int, size: int, outcome: Outcome) -> None:
    """One trial: the first strike ends the replica's following, the second promotes it."""

    def strike(_chance: random.Random, times: int) -> bool:
        if times == 0:
            stop_following(bank)
            return True
        promote(bank)
        return False

    hold(bank, seed, outcome, AtBytes(bank, size, strike, places=2))


def stop_following(bank: Bank) -> None:
    """From now on the replica gets nothing more."""
    with redis.Redis.from_url(_standby(bank).url) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")


def promote(bank: Bank) -> None:
    """The primary dies, and the other server is the primary."""
    bank.primary.kill()
    bank.lead_to(_standby(bank))


def _standby(bank: Bank) -> RedisServer:
    return next(server for server in bank.servers if server is not bank.primary)


def pair_up(bank: Bank) -> None:
    """Makes the server that is not the primary its replica, with all its data."""
    for server in bank.servers:
        if server is not bank.primary:
            follow(server, bank.primary)


def follow(server: RedisServer, primary: RedisServer) -> None:
    """Makes a server, running or not, a replica of another one, and waits until it has all."""
    server.replica_of = primary
    if server.running:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
    else:
        server.create_data()  # Sentinel has had the server write its own configuration there
        server.start()
    until = time.monotonic() + STEP_S
    with redis.Redis.from_url(primary.url) as client:
        client.set("in step", 1)
        while client.execute_command("WAIT", 1, 100) < 1:
            client.set("in step", 1)
            assert time.monotonic() < until, "the replica never followed"


class AtMoment:
    """Kills the primary at a moment of the run; ends when the Sentinels have all set right."""

    def __init__(self, bank: Bank, made: Group, seconds: float) -> None:
        self._bank, self._made, self._seconds = bank, made, seconds

    def arm(self, chance: random.Random, begins: Callable[[], None]) -> None:
        """See ``Striking``."""
        self._old, self._over, self._struck = self._bank.primary, threading.Event(), 0
        moment = chance.uniform(0, self._seconds)
        self._thread = threading.Thread(target=self._kill, args=(moment, begins))
        self._thread.start()

    def end(self) -> int:
        """See ``Striking``."""
        self._over.set()
        self._thread.join()
        if self._struck:
            until = time.monotonic() + STEP_S
            while (new := self._made.primary()) is self._old:
                assert time.monotonic() < until, "the Sentinels have promoted nobody"
                time.sleep(0.05)
            self._bank.lead_to(new)
            follow(self._old, new)
            self._made.wait_until_complete()
        return self._struck

    def _kill(self, moment: float, begins: Callable[[], None]) -> None:
        if self._over.wait(moment):
            return
        begins()
        self._old.kill()
        self._struck = 1


def _behind_sentinels(ground: Ground, seed: int, number: int) -> Outcome:
    outcome = Outcome()
    with (
        group(ground.new_folder("sentinel")) as made,
        SmallBank(ground, seed, USERS, made.servers) as bank,
    ):
        bank.url = made.url
        assert bank.run().success
        bank.move()
        started = time.monotonic()
        assert bank.run().success
        striking = AtMoment(bank, made, time.monotonic() - started)
        for place in range(number):
            hold(bank, seed + place, outcome, striking)
    outcome.notes["through Sentinels"] = outcome.trials
    return outcome
