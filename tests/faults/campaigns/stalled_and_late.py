"""A writer stands still while a newer one loads, and then goes on; or its bytes come late.

Most trials are the store's writers as processes of their own; every tenth is two whole runs.
``bitten`` are those in which the server was sent a stale batch after the newer one had ended: it
counts the EXECs itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.faults.campaign import Ground, Outcome
from tests.faults.nemesis import Nemesis, standing
from tests.faults.proxy import Link, Proxy
from tests.faults.scene import Scene
from tests.faults.storing import Kind, Yard
from tests.forked import MAIN

NAME = "stalled_and_late"
TITLE = "a stalled writer wakes after a newer run; its bytes come late"
TRIALS = 200
USERS = 150
WHOLE = 10
"""Every so many trials, one is two whole runs."""

ALIVE_S = 0.3
STOPPING = "from tests.faults.storing import stop_before\nstop_before({})\n" + MAIN
NOTES = ("stale batches", "stopped", "late bytes", "whole runs")


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Whatever an older writer sends after a newer one has ended is refused by the server."""

    def work(numbers: Iterator[int]) -> Outcome:
        outcome = Outcome(notes=dict.fromkeys(NOTES, 0))
        with ExitStack() as cleanup:
            yard: Yard | None = None
            scene: Scene | None = None
            for number in numbers:
                place = f"seed {seed + number}"
                if number % WHOLE == WHOLE - 1:
                    scene = scene or cleanup.enter_context(_scene(ground, seed + number))
                    _whole(scene, outcome, random.Random(seed + number), place)
                else:
                    yard = yard or cleanup.enter_context(Yard(ground, seed + number, USERS))
                    _trial(yard, outcome, random.Random(seed + number), place)
        return outcome

    return ground.side_by_side(work, trials)


def _trial(yard: Yard, outcome: Outcome, chance: random.Random, place: str) -> None:
    outcome.trials += 1
    yard.move(changed=0.7, leaving=0.05)
    kind: Kind = chance.choice(("nightly", "nightly", "backfill", "sweep"))
    users = _users_of(yard, kind, chance)
    if chance.random() < 0.5:
        outcome.notes["stopped"] += 1
        number = 1 if kind == "sweep" else chance.randint(1, 10)
        older = yard.start(kind, *users, stop_at=number, alive_s=ALIVE_S)
        if standing(older):
            stale, before = _overtaken(yard, outcome, chance, place)
            Nemesis.wake(older)
            end = yard.ended(older).end
            if end != "refused":
                outcome.violated("false_success", f"{place}: the stalled {kind} ended with {end}")
            _judge(yard, outcome, stale, before, f"{place}: {kind} stopped at batch {number}")
        else:
            yard.ended(older)
        return
    outcome.notes["late bytes"] += 1
    with Proxy(yard.server.port) as proxy:
        _hold_at(proxy, 1 if kind == "sweep" else chance.randint(1, 6))
        older = yard.start(
            kind, *users, url=proxy.url, alive_s=ALIVE_S, answer_s=0.4, tries=chance.randint(0, 2)
        )
        while not proxy.held and older.poll() is None:
            time.sleep(0.005)
        if chance.random() < 0.5:
            older.kill()
        end = yard.ended(older).end
        if end == "success" and proxy.held:
            outcome.violated("false_success", f"{place}: bytes were held, and {kind} says success")
        stale, before = _overtaken(yard, outcome, chance, place)
        proxy.replay()
        _settled(yard, stale)
        _judge(yard, outcome, stale, before, f"{place}: late bytes of a {kind}")


def _overtaken(
    yard: Yard, outcome: Outcome, chance: random.Random, place: str
) -> tuple[int, dict[str, bytes]]:
    """A newer writer begins and ends; how many EXECs there were then, and all documents."""
    yard.move(changed=0.7, leaving=0.05)
    kind: Kind = chance.choice(("nightly", "backfill"))
    newer = yard.run(kind, *_users_of(yard, kind, chance), alive_s=ALIVE_S)
    if newer.end != "success":
        outcome.violated("lost", f"{place}: the newer {kind} ended with {newer.end} {newer.error}")
    outcome.judged(yard.judge.exact(yard.world), f"{place}: after the newer {kind}")
    return yard.executed(), yard.dump()


def _judge(
    yard: Yard, outcome: Outcome, executed: int, before: dict[str, bytes], place: str
) -> None:
    sent, after = yard.executed() - executed, yard.dump()
    outcome.bitten += sent > 0
    outcome.notes["stale batches"] += sent
    if after != before:
        changed = [key for key in {*before, *after} if before.get(key) != after.get(key)]
        kind = "resurrected" if set(after) - set(before) else "stale"
        outcome.violated(kind, f"{place}: {len(changed)} documents changed")
    outcome.judged(yard.judge.exact(yard.world), place)


def _users_of(yard: Yard, kind: Kind, chance: random.Random) -> list[str]:
    if kind == "sweep":
        return [chance.choice(sorted(yard.world.users))]
    return yard.everybody() if kind == "backfill" else []


def _hold_at(proxy: Proxy, number: int) -> None:
    """Has everything held from the batch of that number on."""
    seen = 0

    def look(link: Link, data: bytes) -> bytes:
        nonlocal seen
        if b"MULTI" in data and (b"JSON.SET" in data or b"HSET" in data):
            seen += 1
            if seen == number:
                proxy.hold()
        return data

    proxy.on_request = look


def _settled(yard: Yard, executed: int) -> None:
    """Waits a moment until the server has read what was replayed."""
    until = time.monotonic() + 1.0
    while yard.executed() == executed and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.02)


def _scene(ground: Ground, seed: int) -> Scene:
    return Scene(ground, seed, USERS, buckets=4, reading=False)


def _whole(scene: Scene, outcome: Outcome, chance: random.Random, place: str) -> None:
    """Two whole runs: the older one stops itself in mid-batch, and wakes after the newer one."""
    outcome.trials += 1
    outcome.notes["whole runs"] += 1
    scene.change_all()
    older = scene.start(program=STOPPING.format(chance.randint(1, 8)))
    if not standing(older):
        scene.ended(older)
        return
    scene.move(changed=0.7, leaving=0.05)
    newer = scene.run()
    if not newer.success:
        outcome.violated("lost", f"{place}: the newer run: {newer.report.get('error')}")
    outcome.judged(scene.judge.exact(scene.world), f"{place}: after the newer run")
    before = scene.judge.look()
    Nemesis.wake(older)
    ended = scene.ended(older)
    error = str(ended.report.get("error"))
    refused = "this writer stops" in error or "has completed it already" in error
    outcome.bitten += refused
    outcome.notes["stale batches"] += refused
    if ended.success or not refused:
        outcome.violated("false_success", f"{place}: the stalled run ended with {error[:200]}")
    if scene.judge.look() != before:
        outcome.violated("stale", f"{place}: the stalled run changed documents")
    outcome.judged(scene.judge.exact(scene.world), place)
