"""The order of the bench: everything once in each round, so that noise hits all alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.speed import bank, limit
from benchmarks.speed.ground import Ground
from benchmarks.speed.peers import PEERS, Peer, content, differing
from benchmarks.speed.prefect_cost import waiting
from benchmarks.speed.running import Run, machine_of, run

OURS, LIMIT = "ours", "limit"
PARTS = (OURS, LIMIT, *PEERS)

_DENSE_S = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured with one number of users.

    Attributes:
        parts: of ``PARTS``.
        repeats: rounds.
        peers: those to be measured, in the first ``peer_repeats`` rounds.
        fewer_cores: with how many for all, servers too, the full run is shown beside.
    """

    parts: frozenset[str]
    repeats: int
    peer_repeats: int
    fewer_cores: Sequence[int]
    peers: Mapping[str, Peer] = field(default_factory=dict)


class WrongError(Exception):
    """A run did not do what it had to: its figures mean nothing."""


class Play:
    """Measures with one number of users."""

    def __init__(self, ground: Ground, plan: Plan, say: Say) -> None:
        self._ground, self._plan, self._tell = ground, plan, say

    def show(self) -> dict[str, Any]:
        """All of it: figures of each round.

        Raises:
            WrongError: something was loaded that should not have been, or not loaded.
        """
        self._say("first run, which counts for the memory only")
        first = self._full(_DENSE_S)
        commands = limit.written(self._ground)
        rounds = [dict(self._round(number, commands)) for number in range(self._plan.repeats)]
        return {
            "users": self._ground.users,
            "documents": commands.number,
            "document_bytes": round(commands.size / commands.number),
            "cores": [*self._plan.fewer_cores, len(os.sched_getaffinity(0))],
            "servers": self._ground.versions(),
            "first_run": asdict(first),
            "rounds": rounds,
        }

    def _round(self, number: int, commands: limit.Commands) -> Iterator[tuple[str, Any]]:
        name = f"round {number + 1} of {self._plan.repeats}"
        if LIMIT in self._plan.parts:
            self._say(f"{name}: the limit")
            seconds, cpu = limit.piped(self._ground, commands)
            figures = {"seconds": round(seconds, 3), "redis_cpu_s": round(cpu, 3)}
            yield LIMIT, {**figures, "rows": commands.number}
        if OURS in self._plan.parts:
            yield from self._ours(name, number)
        for peer in self._plan.peers if number < self._plan.peer_repeats else ():
            self._say(f"{name}: {peer}")
            yield peer, self._peer(self._plan.peers[peer])

    def _ours(self, name: str, number: int) -> Iterator[tuple[str, Any]]:
        for count in self._plan.fewer_cores:
            self._say(f"{name}: all profiles new, with {count} cores for all")
            with machine_of(count):
                yield f"machine_of_{count}", asdict(self._full())
        self._say(f"{name}: all profiles new")
        full = self._full()
        yield "full", asdict(full)
        self._say(f"{name}: nothing changed")
        yield "unchanged", asdict(self._again(0))
        self._say(f"{name}: 5 % changed")
        ground = self._ground
        changed = bank.change(ground.postgresql, ground.mongodb, number)
        bank.settle(ground.postgresql, ground.mongodb)
        yield "changed", asdict(self._again(changed))
        self._say(f"{name}: a flow with nothing to do")
        tasks = int(full.prefect["task_runs"])
        yield (
            "empty_flow",
            {"seconds": round(waiting(ground.environ, tasks), 3), "task_runs": tasks},
        )

    def _say(self, text: str) -> None:
        self._tell(f"{self._ground.users:,} users: {text}")

    def _full(self, memory_s: float = 0.5) -> Run:
        self._ground.empty()
        users = self._ground.users
        return _as_expected(run(self._ground, memory_s), created=users, checked=users)

    def _again(self, changed: int) -> Run:
        same = self._ground.users - changed
        return _as_expected(run(self._ground), updated=changed, unchanged=same)

    def _peer(self, peer: Peer) -> dict[str, float]:
        ground = self._ground
        if peer.name != "script":
            return peer.load(ground)
        ours = content(ground) if OURS in self._plan.parts else {}
        told = peer.load(ground)
        different = differing(ours, content(ground)) if ours else 0
        if different:
            raise WrongError(f"{different} profiles of the script are not those of the pipeline")
        return told


def _as_expected(done: Run, **expected: int) -> Run:
    found = {name: done.counts[name] for name in expected}
    if found != expected:
        raise WrongError(f"a run had to have {expected}, and had {found}")
    return done
