"""WAIT: a bucket counts as written only once enough replicas have confirmed it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.errors import TargetUnavailable, TargetUnfit
from devstack import RedisServer
from store.client import client_of
from store.preflight import preflight
from store.writer import Limits
from tests.store.conftest import FAST, Bank, Proxy

USERS = 300
CONFIRMED = Limits(fence_wait_s=5, fence_alive_s=2, replicas=1, replicas_wait_s=0.2)


@pytest.fixture(scope="module")
def replica(server: RedisServer, tmp_path_factory) -> Iterator[RedisServer]:
    with (
        RedisServer(tmp_path_factory.mktemp("replica"), replica_of=server) as running,
        client_of(server.url) as client,
    ):
        client.set("in step", 1)
        assert client.execute_command("WAIT", 1, 10_000) == 1
        yield running


def keys_of(replica: RedisServer, bank: Bank) -> int:
    with client_of(replica.url) as client:
        return sum(1 for _ in client.scan_iter(match=bank.keys.profile_pattern, count=1000))


def test_what_was_loaded_is_at_the_replica(replica: RedisServer, bank: Bank) -> None:
    bank.load(bank.documents(USERS), limits=CONFIRMED, complete=True)
    assert keys_of(replica, bank) == USERS


@pytest.mark.parametrize("changed", [True, False])
def test_too_few_replicas_are_no_success(replica: RedisServer, bank: Bank, changed: bool) -> None:
    """Also where this pass has nothing to write: an earlier one may not have been confirmed."""
    bank.load(bank.documents(USERS, 1))
    replica.pause()
    try:
        with pytest.raises(TargetUnfit, match=r"only 0 of 1 replicas .* bucket 0 .* run again"):
            bank.load(bank.documents(USERS, 2 if changed else 1), limits=CONFIRMED)
    finally:
        replica.resume()
    assert bank.version("7") == 2 if changed else 1
    loaded = bank.load(bank.documents(USERS, 2), limits=Limits(replicas=1, replicas_wait_s=1.5))
    assert loaded.counts.updated == (0 if changed else USERS)


def test_more_replicas_than_there_are_are_no_success(replica: RedisServer, bank: Bank) -> None:
    two = Limits(replicas=2, replicas_wait_s=0.1)
    with pytest.raises(TargetUnfit, match="only 1 of 2 replicas"):
        bank.load(bank.documents(20), limits=two)
    with pytest.raises(TargetUnavailable, match=r"only 1 of 2 replicas are connected"):
        preflight(bank.client, bank.keys, replicas=2)
    preflight(bank.client, bank.keys, replicas=1)


def test_wait_is_believed_on_the_connection_that_wrote(
    replica: RedisServer, bank: Bank, proxy: Proxy
) -> None:
    """Its answer is cut off twice; each time there is a write before it on the new connection."""
    asked: list[bytes] = []

    def cut(link, data: bytes) -> bytes | None:
        if b"WAIT" in data:
            asked.append(data)
            if len(asked) < 3:
                return None
        return data

    proxy.on_request = cut
    bank.load(bank.documents(50), url=proxy.url, limits=CONFIRMED, timeouts=FAST)
    assert len(asked) == 3
    assert all(data.index(b"INCRBY") < data.index(b"WAIT") for data in asked)
    assert keys_of(replica, bank) == 50
    assert int(bank.client.get(bank.keys.epoch) or 0) == 1


def test_no_replica_is_asked_by_default(bank: Bank, proxy: Proxy) -> None:
    asked: list[bytes] = []
    proxy.on_request = lambda link, data: (asked.append(data), data)[1]
    bank.load(bank.documents(20), url=proxy.url)
    assert asked
    assert not any(b"WAIT" in data for data in asked)


# --- a primary that refuses to write without replicas


def test_min_replicas_to_write_is_told(own_bank: Bank) -> None:
    epoch = own_bank.draw()
    own_bank.client.config_set("min-replicas-to-write", 1)
    with pytest.raises(TargetUnavailable, match=r"NOREPLICAS.*min-replicas-to-write"):
        own_bank.load(own_bank.documents(20), epoch, limits=Limits(tries=1))
    with pytest.raises(TargetUnavailable, match=r"NOREPLICAS"):
        preflight(own_bank.client, own_bank.keys)
    own_bank.client.config_set("min-replicas-to-write", 0)
    assert own_bank.load(own_bank.documents(20), epoch).counts.created == 20


def test_replicas_that_are_away_for_a_moment_are_waited_for(own_bank: Bank) -> None:
    epoch = own_bank.draw()
    own_bank.client.config_set("min-replicas-to-write", 1)
    back = threading.Timer(0.3, own_bank.client.config_set, ("min-replicas-to-write", 0))
    back.start()
    loaded = own_bank.load(own_bank.documents(USERS), epoch)
    back.join()
    assert loaded.counts.created == USERS
    assert own_bank.check(loaded.expected).findings == {}
