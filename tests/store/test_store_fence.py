"""The fence of a bucket, and two runs that meet at it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from uuid import uuid4

import pytest

import store.lanes
from core.document import opened
from core.errors import FenceLost, TargetUnavailable, TargetUnfit
from store.fence import Fence, release, take
from store.lanes import Lane
from store.resp import packed
from store.wire import Primary, Wire
from store.writer import BucketWriter, Limits

STALLS = Limits(fence_wait_s=5, fence_alive_s=0.3)


@pytest.fixture
def wire(bank):
    with Primary(bank.url).wire() as opened_wire:
        yield opened_wire


def taken(wire, bank, epoch=None, wait_s=0.0, alive_s=30.0) -> Fence:
    epoch = epoch or bank.draw()
    return take(wire, bank.keys, 0, epoch, uuid4().hex, wait_s=wait_s, alive_s=alive_s)


def test_taking_writes_the_fence_and_a_sign_of_life(bank, wire) -> None:
    fence = taken(wire, bank)
    assert bank.client.get(bank.keys.fence(0)) == fence.value
    assert bank.client.get(bank.keys.alive(0)) == fence.value
    assert bank.client.pttl(bank.keys.fence(0)) == -1
    assert 29_000 < bank.client.pttl(bank.keys.alive(0)) <= 30_000


def test_a_working_holder_is_waited_for(bank, wire) -> None:
    held = taken(wire, bank)
    with pytest.raises(TargetUnavailable, match=r"bucket 0 .* another writer \(epoch 1\)"):
        taken(wire, bank)
    threading.Timer(0.3, lambda: release_elsewhere(bank, held)).start()
    start = time.monotonic()
    assert taken(wire, bank, wait_s=5).epoch == 3
    assert 0.2 < time.monotonic() - start < 3


def release_elsewhere(bank, fence) -> None:
    with Primary(bank.url).wire() as other:
        release(other, fence, complete=False)


def test_a_dead_holder_is_replaced_once_its_sign_of_life_is_gone(bank, wire) -> None:
    taken(wire, bank, alive_s=0.3)
    start = time.monotonic()
    assert taken(wire, bank, wait_s=5).epoch == 2
    assert 0.2 < time.monotonic() - start < 2


def test_an_attempt_does_not_take_its_own_runs_living_fence(bank, wire) -> None:
    epoch = bank.draw()
    taken(wire, bank, epoch)
    with pytest.raises(TargetUnavailable):
        taken(wire, bank, epoch)


def test_numbers_that_make_no_sense_are_told_with_their_key(bank, wire) -> None:
    bank.client.set(bank.keys.floor(0), "1x")
    with pytest.raises(TargetUnavailable, match=r":floor:0 is no number.*present epoch"):
        taken(wire, bank)
    bank.client.delete(bank.keys.floor(0))
    fence = taken(wire, bank)
    bank.client.hset(bank.keys.removed(0), "somebody", "t")
    with pytest.raises(TargetUnavailable, match=r":removed:0 is no number") as told:
        release(wire, fence, complete=True)
    assert "somebody" not in str(told.value)
    bank.client.hset(bank.keys.removed(0), "somebody", fence.epoch)
    release(wire, fence, complete=True)
    assert not bank.client.exists(bank.keys.fence(0), bank.keys.removed(0))


@pytest.mark.parametrize("damaged", [4, [b"a"], [b"a", b"t"]])
def test_after_a_damaged_reply_another_connection_asks_again(
    bank, wire, monkeypatch, damaged
) -> None:
    fence = taken(wire, bank)
    bank.client.hset(bank.keys.removed(0), "a", fence.epoch)
    answers, clients, asked = wire.answers, bank.client.client_list(), []

    def damaged_once(number, command):
        replies = answers(number, command)
        asked.append(command)
        return [replies[0], damaged, *replies[2:]] if len(asked) == 1 else replies

    monkeypatch.setattr(wire, "answers", damaged_once)
    release(wire, fence, complete=True)
    assert not bank.client.exists(bank.keys.fence(0), bank.keys.removed(0))
    before, after = ({c["id"] for c in told} for told in (clients, bank.client.client_list()))
    assert len(before - after) == len(after - before) == 1


def test_the_floor_stops_older_runs_but_not_a_repetition(bank, wire) -> None:
    old, new = bank.draw(), bank.draw()
    release(wire, taken(wire, bank, new), complete=True)
    assert bank.client.get(bank.keys.floor(0)) == b"2"
    with pytest.raises(FenceLost, match=r"a newer run \(epoch 2\) has completed it"):
        taken(wire, bank, old)
    release(wire, taken(wire, bank, new), complete=True)
    assert not bank.client.exists(bank.keys.fence(0), bank.keys.alive(0))


def test_a_floor_above_the_counter_tells_that_the_counter_was_set_back(bank, wire) -> None:
    """Not that a newer run has completed the bucket: there is none."""
    for _ in range(5):
        epoch = bank.draw()
    release(wire, taken(wire, bank, epoch), complete=True)
    bank.client.set(bank.keys.epoch, 1)
    with pytest.raises(
        TargetUnfit, match=r"holds epoch 5, above the counter \(2\).* SET prefetch:"
    ):
        taken(wire, bank, bank.draw())


def test_a_bucket_is_not_taken_in_a_redis_that_was_just_emptied(own_bank, monkeypatch) -> None:
    """Between the look and the EXEC: the counter was right, and there was no fence to be deleted."""
    epoch, ask_all, flushed = own_bank.draw(), Wire.ask_all, []

    def emptied(wire: Wire, *commands: tuple) -> list:
        if commands[0] == ("MULTI",) and not flushed:
            flushed.append(own_bank.client.execute_command("FLUSHALL", "SYNC"))
        return ask_all(wire, *commands)

    monkeypatch.setattr(Wire, "ask_all", emptied)
    with pytest.raises(TargetUnfit, match=r"counter \(0\) is behind this run \(epoch 1\)"):
        own_bank.load(own_bank.documents(20), epoch)
    assert flushed
    assert own_bank.client.dbsize() == 0


def test_an_incomplete_pass_sets_no_floor(bank, wire) -> None:
    release(wire, taken(wire, bank), complete=False)
    assert bank.client.get(bank.keys.floor(0)) is None


def test_a_lost_fence_is_noticed_at_release(bank, wire) -> None:
    fence = taken(wire, bank)
    bank.client.set(bank.keys.fence(0), b"9:other")
    with pytest.raises(FenceLost, match=r"another writer \(epoch 9\)"):
        release(wire, fence, complete=True)
    assert bank.client.get(bank.keys.floor(0)) is None
    assert bank.client.get(bank.keys.fence(0)) == b"9:other"


def test_older_first_then_newer(bank) -> None:
    old, new = bank.draw(), bank.draw()
    bank.load(bank.documents(50, 1), old)
    assert bank.load(bank.documents(50, 2), new).counts.updated == 50
    assert {bank.version(str(n)) for n in range(50)} == {2}


def test_newer_first_then_older_changes_nothing(bank) -> None:
    old, new = bank.draw(), bank.draw()
    bank.load(bank.documents(50, 2), new)
    before = bank.dump()
    assert bank.load(bank.documents(50, 1), old).counts.superseded == 50
    assert bank.dump() == before


def test_an_older_run_stops_below_the_floor_of_a_complete_one(bank) -> None:
    old = bank.draw()
    bank.load(bank.documents(5), complete=True)
    before = bank.dump()
    with pytest.raises(FenceLost):
        bank.load(bank.documents(50, 2), old)
    assert bank.dump() == before


def test_two_runs_at_once_leave_the_newer_everywhere(bank) -> None:
    """Epochs are drawn in turn, and both runs start at the same moment, ten times."""
    for round_ in range(10):
        epochs = [bank.draw(), bank.draw()]
        start, errors = threading.Barrier(2), []

        def run(epoch: int, start=start, errors=errors) -> None:
            try:
                start.wait()
                bank.load(bank.documents(200, epoch), epoch, complete=True)
            except FenceLost as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(epoch,)) for epoch in epochs]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(errors) <= 1
        assert {bank.version(str(n)) for n in range(200)} == {epochs[1]}, round_
        assert bank.client.get(bank.keys.floor(0)) == b"%d" % epochs[1]


class Stall:
    """Stops the first writer between the GET it has seen and the batch it sends."""

    def __init__(self, monkeypatch, after_batches: int) -> None:
        self.entered, self.resume = threading.Event(), threading.Event()
        self._left, send = after_batches, Lane.send

        def stalled(lane, batch, refresh, found) -> None:
            if threading.current_thread().name == "old" and batch.writes:
                self._left -= 1
                if self._left < 0 and not self.resume.is_set():
                    self.entered.set()
                    assert self.resume.wait(20)
            send(lane, batch, refresh, found)

        monkeypatch.setattr(Lane, "send", stalled)


def stall_and_overtake(bank, monkeypatch, after_batches: int):
    """An older run stalls, a newer one loads everything, the older one wakes up."""
    stall, caught = Stall(monkeypatch, after_batches), []
    old = bank.draw()

    def older() -> None:
        try:
            bank.load(bank.documents(300, 1, size=500), old, limits=STALLS)
        except FenceLost as error:
            caught.append(error)

    thread = threading.Thread(target=older, name="old")
    thread.start()
    assert stall.entered.wait(10)
    bank.load(bank.documents(300, 2), limits=STALLS)
    before = bank.dump()
    stall.resume.set()
    thread.join(20)
    return caught, before, bank.dump()


@pytest.mark.parametrize("after_batches", [0, 1, 2, 5])
def test_a_stalled_writer_writes_nothing_after_a_newer_one(
    bank, monkeypatch, after_batches: int
) -> None:
    caught, before, after = stall_and_overtake(bank, monkeypatch, after_batches)
    assert len(caught) == 1
    assert "this writer stops" in str(caught[0])
    assert after == before
    assert {opened(text).body.count(b'"version":2') for text in after.values()} == {1}


def test_without_watch_the_stalled_writer_would_overwrite(bank, monkeypatch) -> None:
    """The test above bites: with WATCH taken out, stale documents do appear."""
    monkeypatch.setattr(
        store.lanes, "watch_and_get", lambda key: packed("PING", "OK") + packed("GET", key)
    )
    caught, before, after = stall_and_overtake(bank, monkeypatch, 3)
    stale = [key for key, text in after.items() if b'"version":1' in text]
    assert len(caught) == 1
    assert 1 <= len(stale) <= 3 * 32
    assert after != before


def test_a_long_look_keeps_the_sign_of_life(bank, monkeypatch) -> None:
    """No batch is written in an unchanged pass; the holder must still look alive."""
    bank.load(bank.documents(400))
    monkeypatch.setattr("store.load.USERS_AT_ONCE", 5)
    told = store.look.Looker._told

    def slow(self, *arguments):
        time.sleep(0.02)
        return told(self, *arguments)

    monkeypatch.setattr("store.look.Looker._told", slow)
    thread = threading.Thread(
        target=bank.load, args=(bank.documents(400),), kwargs={"limits": STALLS}
    )
    thread.start()
    time.sleep(0.1)
    seen = 0
    while thread.is_alive():
        if bank.client.exists(bank.keys.fence(0)):
            holder, alive = bank.client.mget(bank.keys.fence(0), bank.keys.alive(0))
            assert holder is None or alive == holder
            seen += 1
        time.sleep(0.02)
    thread.join()
    assert seen > 20


def test_a_failed_load_gives_the_bucket_back(bank, monkeypatch) -> None:
    def broken(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr("store.plan.Sealer.document", broken)
    with BucketWriter(bank.url, bank.keys) as writer, pytest.raises(RuntimeError):
        writer.load(bank.documents(3), replace(bank.this(), complete=True))
    assert not bank.client.exists(bank.keys.fence(0), bank.keys.alive(0), bank.keys.floor(0))
