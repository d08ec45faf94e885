"""A restart, a failover or lost keys in the middle of a load: all of it again, or no success."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotLoaded, TargetUnavailable, TargetUnfit
from core.records import BucketDocuments
from devstack import RedisServer
from store.client import client_of
from store.continuity import Continuity, Patience, Written
from store.epoch import draw_epoch
from store.facts import Server
from store.freshness import keep_view
from store.outcome import Loaded
from store.preflight import preflight
from store.readback import check_bucket
from store.writer import BucketWriter, Limits
from tests.store.conftest import FAST, Bank, Proxy

AOF = ("--appendonly", "yes", "--appendfsync", "always")
USERS = 200
NOW = datetime(2030, 1, 2, tzinfo=UTC)
PATIENCE = Patience(attempts=3, away_s=5)
Steps = Callable[[str, int], None]


def _nothing(_step: str, _attempt: int) -> None:
    pass


@dataclass
class Run:
    """A run as far as Redis sees it: an epoch, its view, load and check.

    ``at`` is called before and after each step, with its name and the number of the attempt.
    """

    bank: Bank
    url: str
    name: str = "run"
    at: Steps = _nothing
    patience: Patience = PATIENCE
    limits: Limits = field(default_factory=lambda: Limits(tries=3, fence_alive_s=0.5))
    attempts: int = 0
    reasons: list[str] = field(default_factory=list)
    loaded: Loaded | None = None

    def carry_out(self, documents: BucketDocuments) -> None:
        keys = self.bank.keys
        with client_of(self.url, FAST) as client:
            facts = preflight(client, keys, replicas=self.limits.replicas)
            epoch, _ = draw_epoch(client, keys, ExitStack)
            keep_view(client, keys, epoch, NOW, self.name)
        self.epoch, self.documents = epoch, documents
        kept = Continuity(self.url, keys, epoch, self.name, facts, FAST, self.patience)
        kept.keep(self._work, self.reasons.append)

    def _work(self, server: Server) -> Written:
        self.attempts += 1
        keys, this = self.bank.keys, self.bank.this(self.epoch, complete=True)
        with BucketWriter(
            self.url, keys, server=server, timeouts=FAST, limits=self.limits
        ) as writer:
            self.at("load", self.attempts)
            self.loaded = writer.load(self.documents, this)
        self.at("check", self.attempts)
        checked = check_bucket(self.url, keys, self.loaded.expected, server=server, timeouts=FAST)
        if checked.findings:
            raise NotLoaded(dict(checked.findings))
        self.at("end", self.attempts)
        return Written(self.loaded.counts.created, documents=checked.documents)


def once(step: str, action: Callable[[], Any]) -> Steps:
    """Does something before that step of the first attempt."""

    def at(now: str, attempt: int) -> None:
        if (now, attempt) == (step, 1):
            action()

    return at


def restarted(server: RedisServer) -> Callable[[], None]:
    def restart() -> None:
        server.kill()
        server.start()

    return restart


def is_all_there(bank: Bank, run: Run, users: int = USERS) -> None:
    assert run.loaded is not None
    checked = bank.check(run.loaded.expected)
    assert (checked.findings, checked.documents) == ({}, 2 * users)


@pytest.fixture
def durable(tmp_path: Path) -> Any:
    with RedisServer(tmp_path / "durable", extra_args=AOF) as server:
        yield server


def test_a_run_without_a_fault_is_done_once(bank: Bank) -> None:
    run = Run(bank, bank.url)
    run.carry_out(bank.documents(USERS))
    assert (run.attempts, run.reasons) == (1, [])
    is_all_there(bank, run)


@pytest.mark.parametrize("step", ["load", "check", "end"])
def test_a_restart_is_followed_by_another_load_and_check(
    durable: RedisServer, make_bank: Callable[..., Bank], step: str
) -> None:
    bank = make_bank(durable.url)

    def restart_and_lose() -> None:
        restarted(durable)()
        bank.client.delete(bank.keys.profile("7"))

    run = Run(bank, bank.url, at=once(step, restart_and_lose))
    run.carry_out(bank.documents(USERS))
    assert run.attempts == 2
    assert len(run.reasons) == 1
    assert "restart or a failover" in run.reasons[0]
    is_all_there(bank, run)


def test_it_is_not_done_for_ever(durable: RedisServer, make_bank: Callable[..., Bank]) -> None:
    bank = make_bank(durable.url)
    restart = restarted(durable)
    run = Run(bank, bank.url, at=lambda step, _: restart() if step == "end" else None)
    with pytest.raises(TargetUnavailable, match="restart or a failover"):
        run.carry_out(bank.documents(20))
    assert run.attempts == PATIENCE.attempts


def test_one_that_stays_away_is_waited_for_and_no_longer(own_bank, own_server) -> None:
    run = Run(own_bank, own_bank.url, patience=Patience(3, away_s=0.5))
    run.at = once("check", own_server.kill)
    with pytest.raises(TargetUnavailable, match="no connection"):
        run.carry_out(own_bank.documents(20))
    assert run.attempts == 1


@pytest.mark.parametrize("step", ["load", "check", "end"])
def test_one_that_comes_back_empty_is_no_success(own_bank, own_server, step: str) -> None:
    run = Run(own_bank, own_bank.url, at=once(step, restarted(own_server)))
    with pytest.raises(TargetUnfit, match=r"lost data.*run again"):
        run.carry_out(own_bank.documents(20))
    assert own_bank.dump() == {}
    again = Run(own_bank, own_bank.url)
    again.carry_out(own_bank.documents(20))
    is_all_there(own_bank, again, 20)


def test_an_epoch_that_another_run_has_drawn_again_is_no_success(
    durable: RedisServer, make_bank: Callable[..., Bank]
) -> None:
    """The counter was rolled back: its number says nothing, whose view it is does."""
    bank = make_bank(durable.url)
    run = Run(bank, bank.url, name="ours")

    def roll_back() -> None:
        restarted(durable)()
        keep_view(bank.client, bank.keys, run.epoch, NOW, "another")

    run.at = once("check", roll_back)
    with pytest.raises(TargetUnfit, match="epoch 1 is not known to be this run's"):
        run.carry_out(bank.documents(20))


@pytest.mark.parametrize("step", ["check", "end"])
def test_flushall_is_no_success(own_bank, step: str) -> None:
    run = Run(own_bank, own_bank.url)
    run.at = once(step, lambda: own_bank.client.execute_command("FLUSHALL", "SYNC"))
    with pytest.raises(TargetUnfit):
        run.carry_out(own_bank.documents(50))


def test_evicted_keys_are_no_success(own_bank) -> None:
    admin = own_bank.client
    for number in range(2000):
        admin.set(f"others:{number}", "x" * 1000)

    def evict() -> None:
        admin.config_set("maxmemory-policy", "allkeys-random")
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] - 500_000)
        admin.set("one", "more")
        assert admin.info("stats")["evicted_keys"] > 0
        admin.config_set("maxmemory", 0)
        admin.config_set("maxmemory-policy", "noeviction")

    with pytest.raises(TargetUnfit, match=r"\d+ keys were evicted"):
        Run(own_bank, own_bank.url, at=once("end", evict)).carry_out(own_bank.documents(20))


def test_another_eviction_policy_is_no_success(own_bank) -> None:
    def change() -> None:
        own_bank.client.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(TargetUnfit, match=r"allkeys-lru.*noeviction"):
        Run(own_bank, own_bank.url, at=once("end", change)).carry_out(own_bank.documents(20))


def test_keys_that_vanish_after_the_check_are_written_again(own_bank) -> None:
    gone = [own_bank.keys.profile(str(n)) for n in range(50)]
    run = Run(own_bank, own_bank.url, at=once("end", lambda: own_bank.client.delete(*gone)))
    run.carry_out(own_bank.documents(USERS))
    assert run.reasons == ["keys have vanished from Redis that no removal explains; load again"]
    is_all_there(own_bank, run)


def test_keys_of_others_may_come_and_go(own_bank) -> None:
    """What expires is counted; what others delete costs one look more."""
    admin = own_bank.client
    for number in range(300):
        admin.set(f"session:{number}", "x", px=1)
        admin.set(f"a:{number}", "x")
        admin.set(f"b:{number}", "x")

    def delete(step: str, attempt: int) -> None:
        if step == "end":
            admin.delete(*(f"{'ab'[attempt - 1]}:{number}" for number in range(300)))

    run = Run(own_bank, own_bank.url, at=delete)
    run.carry_out(own_bank.documents(20))
    assert len(run.reasons) == 1
    strict = Run(own_bank, own_bank.url, patience=Patience(attempts=1))
    for number in range(300):
        admin.set(f"a:{number}", "x")
    strict.at = delete
    with pytest.raises(TargetUnavailable, match="vanished"):
        strict.carry_out(own_bank.documents(20))


# --- failover


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    """A primary and a replica that has everything."""
    with (
        RedisServer(tmp_path / "a") as primary,
        RedisServer(tmp_path / "b", replica_of=primary) as replica,
        client_of(primary.url) as client,
        client_of(replica.url) as other,
    ):
        client.set("here", 1)
        assert client.execute_command("WAIT", 1, 10_000) == 1
        yield primary, replica, other


def test_a_failover_is_followed(pair, make_bank: Callable[..., Bank]) -> None:
    """The address leads to the promoted replica, as a load balancer's or a name's would."""
    primary, replica, other = pair
    bank, proxy = make_bank(replica.url), Proxy(primary.port)

    def promote() -> None:
        other.execute_command("REPLICAOF", "NO", "ONE")
        other.delete(bank.keys.profile("3"))  # it was behind
        proxy._port = replica.port
        for link in proxy.links:
            link.cut()

    run = Run(bank, proxy.url, at=once("check", promote))
    run.carry_out(bank.documents(USERS))
    proxy.close()
    assert run.attempts == 2
    is_all_there(bank, run)


def test_a_primary_that_becomes_a_replica_is_no_success(
    pair, make_bank: Callable[..., Bank]
) -> None:
    primary, replica, other = pair
    bank = make_bank(primary.url)

    def swap() -> None:
        other.execute_command("REPLICAOF", "NO", "ONE")
        bank.client.execute_command("REPLICAOF", "127.0.0.1", replica.port)

    run = Run(bank, primary.url, at=once("load", swap), patience=Patience(3, away_s=0.3))
    with pytest.raises(TargetUnavailable, match="replica"):
        run.carry_out(bank.documents(20))
    assert run.attempts == 1


def test_one_that_was_a_replica_for_a_while_is_another_server(
    pair, make_bank: Callable[..., Bank]
) -> None:
    """Its process is the same, but its data are another's now."""
    primary, replica, _ = pair
    bank = make_bank(primary.url)

    def there_and_back() -> None:
        bank.client.execute_command("REPLICAOF", "127.0.0.1", replica.port)
        bank.client.execute_command("REPLICAOF", "NO", "ONE")
        bank.client.delete(bank.keys.profile("5"))

    run = Run(bank, primary.url, at=once("end", there_and_back))
    run.carry_out(bank.documents(USERS))
    assert run.attempts == 2
    is_all_there(bank, run)
