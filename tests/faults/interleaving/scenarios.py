"""Which writers meet over which state of Redis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.faults.interleaving import writers
from tests.faults.interleaving.channels import Command
from tests.faults.interleaving.exploring import Scenario, Work
from tests.faults.interleaving.rules import GONE, USER, credential_of, profile_of, sealed

OLD, OLDER, NEWER = 1, 2, 3
"""Versions: in Redis before, of the writer with the lower epoch, of the one with the higher."""

EPOCHS = (5, 6)
BEFORE = 4
"""The epoch of what is in Redis before."""

KINDS: dict[str, tuple[Work, bool]] = {
    "nightly": (writers.nightly, True),
    "backfill": (writers.backfill, True),
    "removal": (writers.removal, False),
    "sweep": (writers.nightly, False),
}
"""The code, and whether the user is in its sources."""

STATES = ("empty", "old", "as the older", "as the newer", "removed")


def pairs(states: tuple[str, ...] = STATES, expiries: int = 0, cuts: int = 0) -> Iterator[Scenario]:
    """Every two kinds of writers, each of them as the older and as the newer one."""
    for older, newer, state in itertools.product(KINDS, KINDS, states):
        yield pair(older, newer, state, expiries, cuts)


def pair(older: str, newer: str, state: str, expiries: int = 0, cuts: int = 0) -> Scenario:
    """Two writers and a state of Redis."""
    made = []
    for name, kind, epoch, version in zip(
        "ab", (older, newer), EPOCHS, (OLDER, NEWER), strict=True
    ):
        work, there = KINDS[kind]
        made.append((name, epoch, version if there else GONE, work))
    initial, commands = _redis(state)
    more = f", {expiries} expiries" * bool(expiries) + f", {cuts} cuts" * bool(cuts)
    return Scenario(
        f"{older} < {newer}, {state}{more}",
        tuple(made),
        initial,
        commands,
        frozenset({writers.KEYS.epoch}),
        expiries,
        cuts,
    )


def _redis(state: str) -> tuple[int, tuple[Command, ...]]:
    keys = writers.KEYS
    counter: Command = (b"SET", keys.epoch, b"%d" % max(EPOCHS))
    version = {"old": OLD, "as the older": OLDER, "as the newer": NEWER}.get(state, GONE)
    if version:
        return version, (
            counter,
            (b"JSON.SET", keys.profile(USER), b"$", sealed(profile_of(version), BEFORE)),
            (b"JSON.SET", keys.credential(USER), b"$", sealed(credential_of(version), BEFORE)),
        )
    if state == "removed":
        return GONE, (counter, (b"HSET", keys.removed(0), USER.encode(), b"%d" % BEFORE))
    return GONE, (counter,)
