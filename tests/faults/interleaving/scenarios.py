"""Which writers meet over which state of Redis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from tests.faults.interleaving import writers
from tests.faults.interleaving.held import empty
from tests.faults.interleaving.pieces import Scenario, Work
from tests.faults.interleaving.rules import GONE, Content, credential_of, profile_of, sealed

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
    "backfill without him": (writers.backfill, False),
}
"""The code, and whether the user is in its sources."""

STATES = ("empty", "old", "as the older", "as the newer", "removed")
FEWER_STATES = ("empty", "old", "as the newer")
"""Where signs of life run out; each of these takes seconds."""


def pairs(states: tuple[str, ...] = STATES, expiries: int = 0, cuts: int = 0) -> Iterator[Scenario]:
    """Every two kinds of writers, each of them as the older and as the newer one."""
    for older, newer, state in itertools.product(KINDS, KINDS, states):
        yield pair(older, newer, state, expiries, cuts)


def everything() -> list[Scenario]:
    """All that the long tier explores.

    A sweep, and a backfill without the user, are a pass and a removal; where a reply may be lost
    at any moment they are left out, because both their parts are there.
    """
    cut = [pair(a, b, "old", cuts=1) for a, b in itertools.product(KINDS, KINDS)]
    late = [s for s in cut if "sweep" not in s.name and "without" not in s.name]
    begins = [drawn(), drawn(expiries=1), drawn(writers.whole_nightly)]
    return [
        *pairs(),
        retried(),
        retried(expiries=1),
        *begins,
        *pairs(FEWER_STATES, expiries=1),
        *late,
    ]


def pair(older: str, newer: str, state: str, expiries: int = 0, cuts: int = 0) -> Scenario:
    """Two writers and a state of Redis."""
    made = []
    for name, kind, epoch, version in zip(
        "ab", (older, newer), EPOCHS, (OLDER, NEWER), strict=True
    ):
        work, there = KINDS[kind]
        made.append((name, epoch, version if there else GONE, work))
    more = ", a sign of life runs out" * bool(expiries) + ", a reply is late" * bool(cuts)
    return Scenario(
        f"{older} < {newer}, {state}{more}",
        tuple(made),
        *_before(state),
        (),
        frozenset({writers.KEYS.epoch}),
        expiries,
        cuts,
    )


def retried(expiries: int = 0) -> Scenario:
    """A writer and its own repetition: one epoch, one version, two attempts."""
    made = pair("nightly", "nightly", "old", expiries)
    both = tuple((name, EPOCHS[1], NEWER, writers.nightly) for name in "ab")
    return replace(made, name=made.name.replace("nightly", "retry"), writers=both)


def drawn(work: Work = writers.opening, expiries: int = 0) -> Scenario:
    """Two runs that draw their epochs, while the sources move on."""
    name = f"{work.__name__} < {work.__name__}" + ", a lock runs out" * bool(expiries)
    both = (("a", -1, -1, work), ("b", -1, -1, work))
    return Scenario(name, both, GONE, empty(BEFORE), expiries=expiries, moves=1)


def _before(state: str) -> tuple[int, Content]:
    nothing = empty(max(EPOCHS))
    version = {"old": OLD, "as the older": OLDER, "as the newer": NEWER}.get(state, GONE)
    if version:
        profile = sealed(profile_of(version), BEFORE)
        return version, nothing._replace(
            profile=profile, credential=sealed(credential_of(version), BEFORE)
        )
    return GONE, nothing._replace(mark=BEFORE) if state == "removed" else nothing
