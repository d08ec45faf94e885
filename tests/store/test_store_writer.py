"""The bucket writer on a real Redis: what it writes, what it leaves, what it counts."""

from __future__ import annotations

import orjson
import pytest

from core.document import opened
from core.errors import TargetUnfit
from core.records import BucketDocuments, LoadCounts


def test_new_documents_are_written_whole(bank) -> None:
    loaded = bank.load(bank.documents(3), epoch := bank.draw())
    assert (loaded.counts.created, loaded.counts.updated, loaded.quarantined) == (3, 0, {})
    text = bank.profile("1")
    assert orjson.loads(text) == {
        "user_id": "1",
        "version": 1,
        "n": 1e16,
        "pad": "",
        "_meta": {"schema_version": 1, "epoch": epoch, "digest": bank.meta("1").digest},
    }
    assert opened(text).sound
    assert opened(bank.credential("1")).sound
    assert bank.check(loaded.expected).findings == {}


def test_nothing_is_written_where_nothing_has_changed(bank) -> None:
    first = bank.draw()
    bank.load(bank.documents(70), first)
    before = bank.dump()
    loaded = bank.load(bank.documents(70))
    assert loaded.counts == LoadCounts(unchanged=70)
    assert bank.dump() == before
    assert len(before) == 140
    assert bank.check(loaded.expected).findings == {}


def test_only_changed_documents_are_written(bank) -> None:
    bank.load(bank.documents(100), first := bank.draw())
    documents = bank.documents(100)
    documents.bodies[42] = bank.body("42", 2)
    loaded = bank.load(documents, second := bank.draw())
    assert (loaded.counts.updated, loaded.counts.unchanged) == (1, 99)
    assert bank.version("42") == 2
    assert (bank.meta("42").epoch, bank.meta("41").epoch) == (second, first)


def test_raising_the_epoch_touches_nothing_but_meta(bank) -> None:
    bank.load(bank.documents(40))
    bodies = {key: opened(text).body for key, text in bank.dump().items()}
    loaded = bank.load(bank.documents(40), epoch := bank.draw(), raise_epoch=True)
    assert loaded.counts == LoadCounts(unchanged=40)
    after = {key: opened(text) for key, text in bank.dump().items()}
    assert {key: found.body for key, found in after.items()} == bodies
    assert {found.meta.epoch for found in after.values()} == {epoch}
    assert all(found.sound for found in after.values())
    assert bank.check(loaded.expected).findings == {}


def test_another_schema_version_rewrites_everything(bank) -> None:
    bank.load(bank.documents(5))
    assert bank.load(bank.documents(5), schema_version=2).counts.updated == 5
    assert bank.meta("3").schema_version == 2


def test_a_credential_that_is_gone_is_deleted_with_the_profile(bank) -> None:
    bank.load(bank.documents(3))
    loaded = bank.load(bank.documents(3, credentials=False))
    assert loaded.counts.updated == 3
    assert bank.credential("1") is None
    assert bank.check(loaded.expected).findings == {}


def test_a_credential_that_is_new_is_written(bank) -> None:
    bank.load(bank.documents(3, credentials=False))
    loaded = bank.load(bank.documents(3))
    assert loaded.counts.updated == 3
    assert opened(bank.credential("2")).sound


def test_a_leftover_credential_of_an_absent_profile_goes(bank) -> None:
    bank.put("0", 1, 0, key=bank.keys.credential("0"))
    loaded = bank.load(bank.documents(1, credentials=False))
    assert loaded.counts.created == 1
    assert bank.credential("0") is None


def test_a_document_without_our_meta_is_replaced(bank) -> None:
    bank.client.execute_command("JSON.SET", bank.keys.profile("0"), "$", '{"a":1}')
    bank.client.execute_command("JSON.SET", bank.keys.profile("1"), "$", '{"_meta":{"x":1}}')
    bank.client.execute_command("JSON.SET", bank.keys.profile("2"), "$", '"text"')
    assert bank.load(bank.documents(3)).counts.updated == 3
    assert [bank.version(user) for user in "012"] == [1, 1, 1]


@pytest.mark.parametrize("place", ["profile", "credential"])
def test_a_key_of_another_type_quarantines_its_user_only(bank, place: str) -> None:
    key = getattr(bank.keys, place)("7")
    bank.client.set(key, "mine")
    loaded = bank.load(bank.documents(60))
    assert loaded.quarantined == {"7": "wrong_type"}
    assert loaded.counts.created == 59
    assert bank.client.get(key) == b"mine"
    other = {"profile": bank.keys.credential, "credential": bank.keys.profile}[place]
    assert bank.client.exists(other("7")) == 0
    assert "7" not in loaded.expected.user_ids
    assert bank.check(loaded.expected).findings == {}


def test_a_ttl_goes_with_the_next_write(bank) -> None:
    bank.load(bank.documents(3))
    for key in (bank.keys.profile("1"), bank.keys.credential("1")):
        bank.client.pexpire(key, 100_000)
    bank.load(bank.documents(3, 2))
    assert bank.client.pttl(bank.keys.profile("1")) == -1
    assert bank.client.pttl(bank.keys.credential("1")) == -1


def test_what_the_check_finds_damaged_is_repaired_by_rewrite(bank) -> None:
    bank.load(bank.documents(20))
    bank.client.execute_command("JSON.SET", bank.keys.profile("3"), "$.version", "9")
    bank.client.pexpire(bank.keys.credential("4"), 100_000)
    loaded = bank.load(bank.documents(20), epoch := bank.draw())
    assert loaded.counts.unchanged == 20
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.user_ids) == ({"damaged": 1, "ttl": 1}, {"3", "4"})
    again = bank.load(bank.documents(20), epoch, rewrite=checked.user_ids)
    assert (again.counts.updated, again.counts.unchanged) == (2, 18)
    assert bank.check(again.expected).findings == {}


def test_a_large_document_is_a_batch_of_its_own(bank) -> None:
    documents = bank.documents(5, size=10)
    documents.bodies[2] = bank.body("2", 1, 3_000_000)
    loaded = bank.load(documents)
    assert loaded.counts.created == 5
    assert bank.check(loaded.expected).findings == {}


def test_awkward_ids_and_texts_survive(bank) -> None:
    ids = ["a b", "{x}", "x\r\nDEL y", "ü\u2028", "*", "%41", "A"]
    loaded = bank.load(bank.documents(ids))
    assert loaded.counts.created == len(ids)
    assert bank.check(loaded.expected).findings == {}
    assert [orjson.loads(bank.profile(user))["user_id"] for user in ids] == ids


def test_an_empty_bucket_is_fine(bank) -> None:
    assert bank.load(BucketDocuments(0, [], [], [], {}), complete=True).counts == LoadCounts()
    assert bank.client.get(bank.keys.floor(0)) == b"1"
    assert not bank.client.exists(bank.keys.fence(0), bank.keys.alive(0))


def test_many_buckets_through_one_writer(make_bank, server) -> None:
    from store.writer import BucketWriter

    bank = make_bank(server.url, 4)
    ids = [str(n) for n in range(400)]
    parts = [[i for i in ids if bank.keys.bucket_of(i) == bucket] for bucket in range(4)]
    with BucketWriter(bank.url, bank.keys) as writer:
        this, total = bank.this(complete=True), LoadCounts()
        for bucket, part in enumerate(parts):
            made = bank.documents(part)
            total += writer.load(
                BucketDocuments(bucket, made.user_ids, made.bodies, made.credentials), this
            ).counts
    assert total.created == 400


# --- held users


def test_a_held_user_keeps_the_old_document_marked(bank) -> None:
    bank.load(bank.documents(3))
    loaded = bank.load(bank.documents(["0"], held={"1": "core.login"}), epoch := bank.draw())
    assert (loaded.counts.held, loaded.counts.unchanged) == (1, 1)
    meta = bank.meta("1")
    assert (meta.held, meta.epoch, bank.version("1")) == ("core.login", epoch, 1)
    assert opened(bank.credential("1")).meta.held == "core.login"
    assert opened(bank.credential("1")).sound
    assert bank.meta("2").held is None
    assert bank.check(loaded.expected).findings == {}


def test_a_held_user_is_not_marked_twice(bank) -> None:
    bank.load(bank.documents(1))
    bank.load(bank.documents([], held={"0": "a"}))
    before = bank.dump()
    assert bank.load(bank.documents([], held={"0": "a"})).counts.held == 1
    assert bank.dump() == before
    bank.load(bank.documents([], held={"0": "b"}))
    assert bank.meta("0").held == "b"


def test_a_held_user_without_a_document_gets_none(bank) -> None:
    loaded = bank.load(bank.documents([], held={"0": "a"}))
    assert loaded.counts == LoadCounts(held=1)
    assert bank.dump() == {}
    assert bank.check(loaded.expected).findings == {}


def test_a_good_document_ends_the_hold(bank) -> None:
    bank.load(bank.documents(1))
    bank.load(bank.documents([], held={"0": "a"}))
    loaded = bank.load(bank.documents(1))
    assert loaded.counts.updated == 1
    assert bank.meta("0").held is None
    assert bank.check(loaded.expected).findings == {}


def test_holding_does_not_make_damage_look_sound(bank) -> None:
    bank.load(bank.documents(1))
    bank.client.execute_command("JSON.SET", bank.keys.profile("0"), "$.version", "9")
    loaded = bank.load(bank.documents([], held={"0": "a"}))
    assert loaded.quarantined == {"0": "damaged"}
    assert not opened(bank.profile("0")).sound


# --- removals


def test_a_removed_user_leaves_a_mark(bank) -> None:
    bank.load(bank.documents(3))
    removed = bank.remove(["1", "9"], epoch := bank.draw())
    assert (removed.removed, removed.absent, removed.superseded) == (1, 1, 0)
    assert bank.client.exists(bank.keys.profile("1"), bank.keys.credential("1")) == 0
    marks = bank.client.hgetall(bank.keys.removed(0))
    assert marks == {b"1": b"%d" % epoch, b"9": b"%d" % epoch}


def test_an_older_run_does_not_bring_a_removed_user_back(bank) -> None:
    old = bank.draw()
    bank.remove(["1"])
    loaded = bank.load(bank.documents(3), old)
    assert (loaded.counts.created, loaded.counts.superseded) == (2, 1)
    assert bank.profile("1") is None
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.superseded) == ({}, 1)


def test_a_newer_run_brings_a_user_back_and_clears_the_mark(bank) -> None:
    bank.remove(["1"])
    loaded = bank.load(bank.documents(3))
    assert loaded.counts.created == 3
    assert bank.client.hgetall(bank.keys.removed(0)) == {}


def test_removal_spares_what_this_or_a_newer_run_has_confirmed(bank) -> None:
    old = bank.draw()
    bank.load(bank.documents(["0"]), now := bank.draw())
    assert bank.remove(["0"], old).superseded == 1
    assert bank.remove(["0"], now).superseded == 1
    assert bank.version("0") == 1


def test_a_complete_pass_prunes_the_marks_it_has_passed(bank) -> None:
    bank.remove(["1", "2"])
    epoch = bank.draw()
    bank.client.hset(bank.keys.removed(0), "3", bank.draw())
    bank.load(bank.documents(["0"]), epoch, complete=True)
    assert bank.client.hkeys(bank.keys.removed(0)) == [b"3"]


def test_removal_leaves_keys_of_another_type(bank) -> None:
    bank.client.set(bank.keys.profile("1"), "mine")
    removed = bank.remove(["1"])
    assert (removed.removed, removed.quarantined) == (0, {"1": "wrong_type"})
    assert bank.client.get(bank.keys.profile("1")) == b"mine"


# --- epochs


def test_a_document_of_a_newer_run_is_left(bank) -> None:
    old = bank.draw()
    bank.load(bank.documents(["1"], 2), bank.draw())
    loaded = bank.load(bank.documents(3, 1), old)
    assert (loaded.counts.created, loaded.counts.superseded) == (2, 1)
    assert bank.version("1") == 2
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.superseded) == ({}, 1)


def test_a_document_above_the_counter_is_an_error(bank) -> None:
    bank.put("1", 1, 1_000_000)
    with pytest.raises(TargetUnfit, match="epoch 1000000, above the counter"):
        bank.load(bank.documents(3))
    assert bank.client.get(bank.keys.fence(0)) is None


def test_a_run_whose_counter_is_gone_stops(bank) -> None:
    epoch = bank.draw()
    bank.client.delete(bank.keys.epoch)
    with pytest.raises(TargetUnfit, match="has lost its data"):
        bank.load(bank.documents(3), epoch)
    assert bank.dump() == {}
