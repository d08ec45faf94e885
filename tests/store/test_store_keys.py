"""Keys: injective, harmless, and in the hash slots that Redis itself computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pipeline import Profile
from devstack import RedisServer
from devstack.ports import PortLease
from store.client import client_of
from store.keys import Keys, encoded, slot

KEYS = Keys(Profile(name="retail", anchor="core.client", buckets=64))
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(IDS)
def test_an_encoded_id_holds_only_harmless_characters_and_leads_back(user_id: str) -> None:
    key = KEYS.profile(user_id)
    assert not set(key[len(b"profile:") :]) & set(b"{}*?[]\\ \r\n\0:")
    assert KEYS.user_id_of(key) == user_id


@given(IDS, IDS)
def test_two_ids_never_share_a_key(one: str, other: str) -> None:
    assert (KEYS.profile(one) == KEYS.profile(other)) == (one == other)


@pytest.mark.parametrize(
    ("user_id", "key"),
    [
        ("123", b"profile:123"),
        ("00123", b"profile:00123"),
        ("a b", b"profile:a%20b"),
        ("100%", b"profile:100%25"),
        ("{a}b", b"profile:%7Ba%7Db"),
        ("x\r\nDEL y", b"profile:x%0D%0ADEL%20y"),
        ("*", b"profile:%2A"),
        ("a/b:c", b"profile:a%2Fb%3Ac"),
        ("ü", b"profile:%C3%BC"),
        ("~._-", b"profile:~._-"),
    ],
)
def test_ids_are_percent_encoded(user_id: str, key: bytes) -> None:
    assert KEYS.profile(user_id) == key
    assert KEYS.both([user_id, "1"])[0] == [key, b"profile:1"]
    assert KEYS.both([user_id])[1] == [key.replace(b"profile", b"credential")]


def test_a_foreign_key_is_no_users(bank) -> None:
    for key in (b"other:1", b"profile:%7b", b"profile:a b", b"profile:%", b"profile:\xff", b"x"):
        assert KEYS.user_id_of(key) is None


def test_an_id_without_utf8_form_is_refused_without_being_quoted() -> None:
    with pytest.raises(ValueError, match="no UTF-8 form") as caught:
        encoded("secret\udc80")
    assert "secret" not in str(caught.value)


def test_control_keys_are_plain_and_apart_from_documents() -> None:
    control = [KEYS.epoch, KEYS.opening, KEYS.runs, KEYS.bucket_count]
    control += [make(3) for make in (KEYS.fence, KEYS.alive, KEYS.floor, KEYS.removed)]
    assert len(set(control)) == 8
    for key in control:
        assert key.startswith(b"prefetch:retail:")
        assert b"{" not in key
        assert KEYS.user_id_of(key) is None


def test_slots_are_those_of_redis(tmp_path: Path) -> None:
    names = [b"", b"a", b"123456789", "profile:ü".encode(), b"{a}b", b"a{b}c", b"{}x", b"x{}{y}"]
    names += [b"{a", b"a}b{c}d", b"{{a}}", bytes(range(256))]
    names += [KEYS.profile(str(n)) for n in range(300)]
    bus = PortLease()
    options = ["--cluster-enabled", "yes", "--cluster-port", str(bus.port)]
    cluster = RedisServer(tmp_path, modules=False, extra_args=options)
    with cluster, client_of(cluster.url) as client:
        assert [slot(name) for name in names] == [
            client.execute_command("CLUSTER KEYSLOT", name) for name in names
        ]
    bus.release()


def test_buckets_cut_the_slots_into_ranges() -> None:
    assert slot(b"123456789") == 0x31C3
    for user_id in map(str, range(2000)):
        assert KEYS.bucket_of(user_id) == slot(KEYS.profile(user_id)) * 64 // 16384
    assert {KEYS.bucket_of(str(n)) for n in range(5000)} == set(range(64))
