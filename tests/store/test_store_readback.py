"""The check after a load finds every kind of planted damage, and accepts a newer run's work."""

from __future__ import annotations

import pytest

from store.outcome import Checked, Expected
from store.scan import remove_misplaced


@pytest.fixture
def loaded(bank):
    return bank.load(bank.documents(120))


def findings(bank, loaded) -> tuple[dict[str, int], set[str]]:
    checked = bank.check(loaded.expected)
    return dict(checked.findings), checked.user_ids


def test_a_good_load_has_no_findings(bank, loaded) -> None:
    checked = bank.check(loaded.expected)
    assert checked == Checked(documents=240)


def test_missing(bank, loaded) -> None:
    bank.client.delete(bank.keys.profile("5"), bank.keys.credential("6"))
    assert findings(bank, loaded) == ({"missing": 2}, {"5", "6"})


def test_everything_gone(bank, loaded) -> None:
    bank.client.delete(*bank.dump())
    assert findings(bank, loaded)[0] == {"missing": 240}


@pytest.mark.parametrize("path", ["$.version", "$._meta.epoch_", "$._meta.schema_version"])
def test_an_edited_path(bank, loaded, path: str) -> None:
    bank.client.execute_command("JSON.SET", bank.keys.profile("5"), path, "8")
    expected = {} if path == "$._meta.epoch_" else {"damaged": 1}
    assert findings(bank, loaded)[0] == expected


def test_an_edited_credential(bank, loaded) -> None:
    bank.client.execute_command("JSON.SET", bank.keys.credential("5"), "$.version", "8")
    assert findings(bank, loaded) == ({"damaged": 1}, {"5"})


def test_swapped_documents_of_two_users(bank, loaded) -> None:
    one, other = bank.profile("5"), bank.profile("6")
    bank.client.execute_command("JSON.SET", bank.keys.profile("5"), "$", other)
    bank.client.execute_command("JSON.SET", bank.keys.profile("6"), "$", one)
    assert findings(bank, loaded) == ({"foreign": 2}, {"5", "6"})


def test_a_foreign_document_of_a_newer_run_is_found(bank, loaded) -> None:
    """A higher epoch excuses a difference, never another user's data."""
    newer = bank.draw()
    bank.put("6", 2, newer)
    text = bank.profile("6")
    bank.client.execute_command("JSON.SET", bank.keys.profile("5"), "$", text)
    assert findings(bank, loaded) == ({"foreign": 1}, {"5"})


def test_a_sound_document_of_another_content(bank, loaded) -> None:
    bank.put("5", 77, loaded.expected.epoch)
    assert findings(bank, loaded) == ({"different": 1}, {"5"})


def test_a_ttl(bank, loaded) -> None:
    bank.client.pexpire(bank.keys.profile("5"), 100_000)
    bank.client.pexpire(bank.keys.credential("5"), 100_000)
    assert findings(bank, loaded) == ({"ttl": 2}, {"5"})


def test_a_ttl_of_a_stranger_is_no_finding(bank, loaded) -> None:
    bank.client.set("stranger", "x", px=100_000)
    assert findings(bank, loaded) == ({}, set())
    bank.client.delete("stranger")


def test_an_epoch_beyond_the_counter(bank, loaded) -> None:
    bank.put("5", 2, 1_000_000)
    assert findings(bank, loaded) == ({"impossible_epoch": 1}, {"5"})


def test_an_equal_document_with_an_epoch_beyond_the_counter(bank, loaded) -> None:
    bank.put("5", 1, 1_000_000)
    assert findings(bank, loaded) == ({"impossible_epoch": 1}, {"5"})


def test_a_newer_run_counts_as_good(bank, loaded) -> None:
    bank.load(bank.documents(["5", "6"], 2))
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.superseded) == ({}, 2)


def test_a_newer_run_that_took_the_credential_away_counts_as_good(bank, loaded) -> None:
    bank.load(bank.documents(["5"], 2, credentials=False))
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.superseded) == ({}, 1)


def test_a_newer_removal_counts_as_good_also_below_its_floor(bank, loaded) -> None:
    bank.remove(["5"])
    assert bank.check(loaded.expected).superseded == 1
    rest = [str(n) for n in range(120) if n != 5]
    bank.load(bank.documents(rest), complete=True)
    assert bank.client.hgetall(bank.keys.removed(0)) == {}
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.superseded) == ({}, 1)


def test_damage_to_a_newer_document_is_damage(bank, loaded) -> None:
    bank.load(bank.documents(["5"], 2))
    bank.client.execute_command("JSON.SET", bank.keys.profile("5"), "$.version", "9")
    assert findings(bank, loaded) == ({"damaged": 1}, {"5"})


def test_a_key_of_another_type(bank, loaded) -> None:
    bank.client.delete(bank.keys.profile("5"))
    bank.client.set(bank.keys.profile("5"), "x")
    assert findings(bank, loaded) == ({"damaged": 1}, {"5"})


def test_extra_documents(bank) -> None:
    loaded = bank.load(bank.documents(60, credentials=False, held={"99": "a"}))
    bank.put("5", 1, 0, key=bank.keys.credential("5"))
    bank.put("99", 1, 0)
    assert findings(bank, loaded) == ({"extra_credential": 1, "extra_profile": 1}, {"5", "99"})


def test_a_held_user_must_be_marked(bank, loaded) -> None:
    held = bank.load(bank.documents([], held={"5": "a"}))
    assert bank.check(held.expected).findings == {}
    bank.put("5", 1, held.expected.epoch)
    assert findings(bank, held) == ({"different": 1}, {"5"})


def test_numbers_that_redis_writes_its_own_way_are_good(bank) -> None:
    loaded = bank.load(bank.documents(2))
    assert b'"n":1e16' in bank.profile("0")
    assert b'"n":1e+16' in bank.documents(1).bodies[0] or b'"n":1e16' in bank.documents(1).bodies[0]
    assert bank.check(loaded.expected).findings == {}


def test_the_expectation_can_be_kept_and_taken_up_again(bank, loaded) -> None:
    kept = loaded.expected
    again = Expected(0, kept.epoch, kept.user_ids, kept.profiles, kept.credentials)
    assert bank.check(again).documents == 240


def test_results_add_up(bank, loaded) -> None:
    bank.client.delete(bank.keys.profile("5"))
    both = bank.check(loaded.expected) + bank.check(loaded.expected)
    assert (both.documents, both.findings, both.user_ids) == (480, {"missing": 1}, {"5"})


def test_an_epoch_beyond_the_counter_excuses_nothing(bank, loaded) -> None:
    bank.put("5", 2, 1_000_000)
    bank.client.delete(bank.keys.credential("5"))
    assert findings(bank, loaded) == ({"impossible_epoch": 1, "missing": 1}, {"5"})


@pytest.mark.parametrize("before", [False, True])
def test_a_document_under_a_key_of_nobody_is_removed_by_its_digest(bank, before: bool) -> None:
    """As where a byte of the key changed on its way; others' keys stay as they are."""
    if before:
        bank.load(bank.documents(20, 1))
    place, other = bank.keys.profile("7"), bank.keys.profile("7:x")
    old = bank.profile("7")
    loaded = bank.load(bank.documents(20, 2))
    stray = place[:-1] + b"\xb7"
    bank.client.rename(place, stray)
    if old is not None:
        bank.client.execute_command("JSON.SET", place, "$", old)
    bank.put("8", 1, 1, key=other)
    checked = bank.check(loaded.expected)
    assert checked.users == {"7": ["different" if before else "missing"]}
    assert checked.missing == {loaded.expected.profiles[loaded.expected.user_ids.index("7")]}
    assert remove_misplaced(bank.client, bank.keys, {"0" * 32}) == 0
    assert remove_misplaced(bank.client, bank.keys, checked.missing) == 1
    assert (bank.client.exists(stray), bank.client.exists(other)) == (0, 1)
    loaded = bank.load(bank.documents(20, 2), rewrite=checked.user_ids)
    assert not bank.check(loaded.expected).users
