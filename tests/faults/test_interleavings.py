"""All orders in which two writers' commands can reach the server: a part of them, and the proof
that the explorer sees what it should."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

import store.lanes
from store.resp import packed
from tests.faults.campaigns import interleavings
from tests.faults.interleaving import scenarios
from tests.faults.interleaving.exploring import Exploration, explore
from tests.faults.interleaving.world import World

KINDS = ("nightly", "backfill", "removal", "sweep")
PAIRS = [*itertools.product(KINDS, KINDS), ("nightly", "backfill without him")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with interleavings.world(tmp_path_factory.mktemp("w")) as made:
        yield made


@pytest.mark.parametrize(("older", "newer"), PAIRS)
def test_in_every_order_the_newer_writer_wins(world: World, older: str, newer: str) -> None:
    explored = explore(world, scenarios.pair(older, newer, "old"))
    assert (explored.violation, explored.is_whole) == (None, True), explored.path
    assert explored.states > 500
    assert explored.orders > 10**8
    assert all("b success" in end for end in explored.ends)


def test_so_does_it_where_a_working_writer_seems_dead(world: World) -> None:
    explored = explore(world, scenarios.pair("nightly", "removal", "old", expiries=1))
    assert (explored.violation, explored.is_whole) == (None, True), explored.path
    assert {"a success, b refused", "a refused, b success"} <= set(explored.ends)


def test_the_short_cuts_lose_no_state(world: World) -> None:
    exploration = Exploration(world, scenarios.pair("removal", "removal", "old", expiries=1))
    assert exploration.run().is_whole
    chance = random.Random(4711)
    assert [exploration.strange(chance) for _ in range(100)] == [[]] * 100


def test_a_state_that_is_not_known_would_be_noticed(world: World) -> None:
    exploration = Exploration(world, scenarios.pair("removal", "removal", "old"), most=200)
    assert not exploration.run().is_whole
    assert any(exploration.strange(random.Random(number)) for number in range(20))


def test_without_watch_an_order_is_found_that_breaks_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.lanes, "watch_and_get", lambda key: packed("GET", key) * 2)
    explored = explore(world, scenarios.pair("nightly", "removal", "old", expiries=1))
    assert explored.violation is not None
    assert explored.violation.kind in ("resurrected", "stale")
    assert "profile:u1" in explored.path[-1]
