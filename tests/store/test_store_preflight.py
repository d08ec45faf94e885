"""Preflight refuses what can't hold profiles, each with the way out; reports; looking up."""

from __future__ import annotations

import orjson
import pytest

from core.errors import TargetDenied, TargetError, TargetUnavailable, TargetUnfit
from core.pipeline import Profile
from devstack import RedisServer
from store.client import client_of
from store.keys import Keys
from store.lookup import lookup
from store.preflight import preflight
from store.runs import append, last


def test_a_fit_server_tells_its_facts_and_keeps_no_canary(bank) -> None:
    facts = preflight(bank.client, bank.keys, 1000)
    info = bank.client.info()
    assert facts.server == (info["run_id"], info["master_replid"])
    assert facts.used_memory > 0
    assert list(bank.client.scan_iter(match=f"prefetch:{bank.keys.name}:*")) == [
        bank.keys.bucket_count
    ]


def test_a_replica_is_refused(tmp_path, server, bank) -> None:
    with (
        RedisServer(tmp_path, replica_of=server) as replica,
        client_of(replica.url) as client,
        pytest.raises(TargetUnfit, match=r"replica.*primary"),
    ):
        preflight(client, bank.keys)


def test_eviction_is_refused(own_bank) -> None:
    own_bank.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(TargetUnfit, match=r"allkeys-lru.*noeviction"):
        preflight(own_bank.client, own_bank.keys)


def test_too_little_memory_is_refused_with_the_figures(own_bank) -> None:
    own_bank.client.config_set("maxmemory", 100_000_000)
    preflight(own_bank.client, own_bank.keys, 1_000_000)
    with pytest.raises(TargetUnfit, match=r"maxmemory 100,000,000 .* 99,999,999 more"):
        preflight(own_bank.client, own_bank.keys, 99_999_999)


def test_a_full_server_is_not_said_to_lack_json(own_bank) -> None:
    own_bank.client.config_set("maxmemory", 1)
    with pytest.raises(TargetUnfit, match=r"memory"):
        preflight(own_bank.client, own_bank.keys)


def test_a_server_without_json_is_refused(tmp_path, make_bank) -> None:
    with RedisServer(tmp_path, modules=False) as plain:
        bank = make_bank(plain.url)
        with pytest.raises(TargetUnfit, match=r"JSON.SET is unknown .* RedisJSON"):
            preflight(bank.client, bank.keys)


def test_another_json_is_refused(bank, monkeypatch) -> None:
    """Another implementation would give other bytes back."""
    monkeypatch.setattr("store.preflight._CANARY", {"n": 123456789012345678901234567890.0})
    preflight(bank.client, bank.keys)
    monkeypatch.setattr("store.preflight._CANARY", {"n": 0.12345678901234567e-5})
    try:
        preflight(bank.client, bank.keys)
    except TargetUnfit as error:
        assert "does not give back" in str(error)
    execute = bank.client.execute_command

    def other(*arguments):
        found = execute(*arguments)
        return found.replace(b"0", b"1") if arguments[0] == "JSON.GET" else found

    monkeypatch.setattr(bank.client, "execute_command", other)
    with pytest.raises(TargetUnfit, match=r"does not give back"):
        preflight(bank.client, bank.keys)
    assert list(bank.client.scan_iter(match=f"prefetch:{bank.keys.name}:canary*")) == []


def test_another_number_of_buckets_is_refused_with_the_way_out(bank) -> None:
    preflight(bank.client, bank.keys)
    other = Keys(Profile(name=bank.keys.name, anchor="a.b", buckets=7))
    with pytest.raises(TargetUnfit, match=r"1 buckets.*says 7.*profile.buckets to 1"):
        preflight(bank.client, other)


def test_a_wrong_password_is_denied_and_a_dead_server_unavailable(tmp_path, make_bank) -> None:
    with RedisServer(tmp_path, password="right") as locked:
        for url, code in (
            (f"redis://:wrong@127.0.0.1:{locked.port}", "WRONGPASS"),
            (f"redis://127.0.0.1:{locked.port}", "NOAUTH"),
        ):
            bank = make_bank(url)
            with pytest.raises(TargetDenied, match=code) as caught:
                preflight(bank.client, bank.keys)
            assert "wrong@" not in str(caught.value)
            with pytest.raises(TargetDenied, match=code):
                bank.load(bank.documents(1), 1)
        make_bank(locked.url).draw()
        preflight(make_bank(locked.url).client, bank.keys)
    with pytest.raises(TargetUnavailable):
        preflight(bank.client, bank.keys)


# --- reports


def test_the_last_reports_are_kept_newest_first(bank) -> None:
    name = bank.keys.name
    for number in range(7):
        append(bank.client, name, {"run": number, "text": "ü"}, 5)
    assert [each["run"] for each in last(bank.client, name, 100)] == [6, 5, 4, 3, 2]
    assert last(bank.client, name, 1) == [{"run": 6, "text": "ü"}]
    assert bank.client.llen(bank.keys.runs) == 5


def test_reports_map_the_drivers_errors(bank) -> None:
    bank.client.set(bank.keys.runs, "x")
    with pytest.raises(TargetError, match=r"WRONGTYPE"):
        append(bank.client, bank.keys.name, {}, 5)


# --- looking up


def test_a_profile_is_shown(bank) -> None:
    bank.load(bank.documents(2))
    assert lookup(bank.client, bank.keys, "1") == orjson.loads(bank.profile("1"))
    assert lookup(bank.client, bank.keys, "9") is None


def test_a_damaged_or_foreign_profile_is_not_shown(bank) -> None:
    bank.load(bank.documents(2))
    bank.client.execute_command("JSON.SET", bank.keys.profile("0"), "$", bank.profile("1"))
    with pytest.raises(TargetUnfit, match=r"another user"):
        lookup(bank.client, bank.keys, "0")
    bank.client.execute_command("JSON.SET", bank.keys.profile("1"), "$.version", "2")
    with pytest.raises(TargetUnfit, match=r"digest"):
        lookup(bank.client, bank.keys, "1")
