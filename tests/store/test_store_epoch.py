"""Epochs and the opening lock."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest

from core.errors import TargetUnavailable, TargetUnfit
from store.client import client_of
from store.epoch import check_counter, draw_epoch


class Snapshots:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_epochs_grow_and_the_lock_is_given_back(bank) -> None:
    assert [draw_epoch(bank.client, bank.keys, ExitStack)[0] for _ in range(3)] == [1, 2, 3]
    assert not bank.client.exists(bank.keys.opening)


def test_snapshots_are_opened_under_the_lock(bank) -> None:
    seen = []

    def open_snapshots() -> Snapshots:
        seen.append((bank.client.get(bank.keys.epoch), bank.client.pttl(bank.keys.opening)))
        return Snapshots()

    epoch, snapshots = draw_epoch(bank.client, bank.keys, open_snapshots)
    assert (epoch, snapshots.closed) == (1, False)
    assert seen[0][0] == b"1"
    assert seen[0][1] > 0


def test_a_higher_epoch_always_means_a_later_opening(bank) -> None:
    opened: list[tuple[int, float, float]] = []

    def run() -> None:
        with client_of(bank.url) as client:
            times: list[float] = []

            def open_snapshots() -> Snapshots:
                times.append(time.monotonic())
                time.sleep(0.01)
                times.append(time.monotonic())
                return Snapshots()

            epoch, _ = draw_epoch(client, bank.keys, open_snapshots)
            opened.append((epoch, times[-2], times[-1]))

    threads = [threading.Thread(target=run) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    opened.sort()
    assert [epoch for epoch, _, _ in opened] == [1, 2, 3, 4, 5, 6]
    for (_, _, end), (_, start, _) in pairwise(opened):
        assert end <= start


def test_an_epoch_whose_lock_ran_out_is_drawn_again(bank) -> None:
    made: list[Snapshots] = []

    def slow_once() -> Snapshots:
        if not made:
            time.sleep(0.2)
        made.append(Snapshots())
        return made[-1]

    epoch, snapshots = draw_epoch(bank.client, bank.keys, slow_once, lock_s=0.1)
    assert epoch == 2
    assert [each.closed for each in made] == [True, False]
    assert snapshots is made[1]


def test_another_openers_lock_is_left_alone_when_ours_ran_out(bank) -> None:
    def overtaken() -> Snapshots:
        bank.client.set(bank.keys.opening, b"other", px=100)
        return Snapshots()

    with pytest.raises(TargetUnavailable, match="3 times"):
        draw_epoch(bank.client, bank.keys, overtaken)
    assert bank.client.get(bank.keys.opening) == b"other"


def test_waiting_for_another_opener_is_bounded(bank) -> None:
    bank.client.set(bank.keys.opening, b"other")
    with pytest.raises(TargetUnavailable, match="another run has been opening"):
        draw_epoch(bank.client, bank.keys, Snapshots, wait_s=0.2)
    assert bank.client.get(bank.keys.epoch) is None


def test_a_source_that_fails_gives_the_lock_back(bank) -> None:
    def down() -> Snapshots:
        raise OSError("source")

    with pytest.raises(OSError, match="source"):
        draw_epoch(bank.client, bank.keys, down)
    assert not bank.client.exists(bank.keys.opening)


def test_a_counter_below_a_document_is_refused_with_the_way_out(bank) -> None:
    bank.client.set(bank.keys.epoch, 7)
    check_counter(bank.client, bank.keys, 7)
    with pytest.raises(TargetUnfit) as caught:
        check_counter(bank.client, bank.keys, 8)
    assert f"SET {bank.keys.epoch.decode()} 8" in str(caught.value)
