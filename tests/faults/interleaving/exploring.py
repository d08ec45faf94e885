"""Every order in which the commands of some writers can reach the server, each tried once.

The writers are the product's own code, each in a greenlet that waits in its (replaced) socket
until the schedule lets the server execute its next command. Three things save work, and none
loses an order that could matter:

- *The same state again.* Where two orders have led to the same replies to every writer, the same
  keys and the same WATCHes (and which of them are touched), the future is the same: the second
  order is not followed further. So a few thousand states stand for all paths through them, which
  are counted.
- *Commuting steps.* Where two writers' next commands only read, or one reads and the other writes
  other keys, both orders lead to the same state: it is tried in one order, and known in the other.
- *Polling in vain.* A writer that sleeps before it asks again is woken after the next change of a
  key: without one, it would only read the same again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.faults.interleaving.pieces import Effect, Scenario
from tests.faults.interleaving.rules import Violation
from tests.faults.interleaving.world import World


@dataclass
class Explored:
    """What one scenario came to."""

    name: str
    states: int = 0
    schedules: int = 0
    """How many times the writers were started."""
    commands: int = 0
    """How many steps the server executed for real."""
    orders: int = 0
    """Interleavings that the states stand for."""
    ends: dict[str, int] = field(default_factory=dict)
    """How the writers ended, and in how many states."""
    violation: Violation | None = None
    path: list[str] = field(default_factory=list)
    is_whole: bool = False


@dataclass
class _Node:
    """A state: what can happen, and where that leads as far as is known."""

    effects: dict[str, Effect]
    next: dict[str, bytes] = field(default_factory=dict)
    before: list[tuple[bytes, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Path:
    """How a state was reached, and what the server said on the way."""

    before: _Path | None = None
    choice: str = ""
    said: tuple[Any, ...] = ()

    def steps(self) -> list[_Path]:
        found: list[_Path] = []
        here: _Path | None = self
        while here is not None and here.choice:
            found.append(here)
            here = here.before
        return found[::-1]


class Exploration:
    """The states of a scenario, as far as they are known."""

    def __init__(self, world: World, scenario: Scenario, most: int | None = None) -> None:
        self.world, self.scenario, self.most = world, scenario, most
        self.nodes: dict[bytes, _Node] = {}
        self.open: list[tuple[_Path, bytes, str]] = []
        self.made = Explored(scenario.name)
        self.told: list[str] = []

    def run(self) -> Explored:
        made = self.made
        try:
            self._started(_Path(), None)
            while self.open:
                if self.most is not None and len(self.nodes) >= self.most:
                    return made
                path, state, choice = self.open.pop()
                if not self._known(state, choice):
                    self._started(path, (state, choice))
        except Violation as violation:
            made.violation, made.path = violation, self.told
            return made
        finally:
            made.states = len(self.nodes)
        made.is_whole = True
        made.orders = self._orders()
        return made

    def strange(self, chance: random.Random) -> list[str]:
        """A path by chance, without any short cut: the states on it that ``run`` does not know."""
        world, unknown = self.world, []
        try:
            world.begin(self.scenario, [])
            world.set_server()
            told: list[str] = []
            while True:
                if world.state() not in self.nodes:
                    unknown.append(f"after {told}")
                choices = world.choices()
                if not choices:
                    return unknown
                choice = chance.choice(sorted(choices))
                told.append(world.told(choice))
                world.do(choice)
        finally:
            world.finish()

    def _started(self, path: _Path, to_do: tuple[bytes, str] | None) -> None:
        """Plays a path again, and goes on from there."""
        world, self.told = self.world, []
        self.made.schedules += 1
        steps = path.steps()
        try:
            world.begin(self.scenario, [said for step in steps for said in step.said])
            for step in steps:
                self.told.append(world.told(step.choice))
                world.do(step.choice)
            world.set_server()
            self._follow(path, to_do)
        finally:
            world.finish()

    def _follow(self, path: _Path, way: tuple[bytes, str] | None) -> None:
        """Goes a way, and on to a state that is known, or from which all ways are known."""
        while True:
            if way is not None:
                path = self._gone(path, way[1])
            here = self._arrived(way)
            if here is None:
                return
            left = [c for c in self.nodes[here].effects if not self._known(here, c)]
            if not left:
                return
            self.open.extend((path, here, choice) for choice in left[:0:-1])
            way = (here, left[0])

    def _gone(self, path: _Path, choice: str) -> _Path:
        world = self.world
        world.said.clear()
        self.told.append(world.told(choice))
        world.do(choice)
        self.made.commands += bool(world.said)
        return _Path(path, choice, tuple(world.said))

    def _arrived(self, way: tuple[bytes, str] | None) -> bytes | None:
        """The state, where it is a new one."""
        here = self.world.state()
        is_new = here not in self.nodes
        if is_new:
            self.nodes[here] = _Node(self.world.choices())
        if way is not None:
            self._link(*way, here)
        if not is_new:
            return None
        self.world.judge_end()
        if not self.nodes[here].effects:
            ends = self.made.ends
            ends[self.world.ends] = ends.get(self.world.ends, 0) + 1
        return here

    def _link(self, state: bytes, choice: str, there: bytes) -> None:
        self.nodes[state].next[choice] = there
        self.nodes[there].before.append((state, choice))

    def _known(self, state: bytes, choice: str) -> bool:
        """Whether it is known where a choice leads, because it commutes with the one before."""
        node = self.nodes[state]
        if choice in node.next:
            return True
        for before, last in node.before:
            origin = self.nodes[before]
            effect = origin.effects.get(choice)
            if effect is None or not effect.commutes(origin.effects[last]):
                continue
            aside = origin.next.get(choice)
            there = None if aside is None else self.nodes[aside].next.get(last)
            if there is not None:
                self._link(state, choice, there)
                return True
        return False

    def _orders(self) -> int:
        """How many ways lead from the first state to an end."""
        ways: dict[bytes, int] = {}
        first = next(iter(self.nodes))
        todo = [first]
        while todo:
            here = todo[-1]
            following = self.nodes[here].next.values()
            missing = [there for there in following if there not in ways]
            if missing:
                todo += missing
                continue
            ways[here] = sum([ways[there] for there in following]) or 1
            todo.pop()
        return ways[first]


def explore(world: World, scenario: Scenario, most: int | None = None) -> Explored:
    """All orders of a scenario, up to the first violation.

    Args:
        most: stop after so many states.
    """
    return Exploration(world, scenario, most).run()
