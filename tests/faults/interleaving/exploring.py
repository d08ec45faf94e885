"""Every order in which the commands of some writers can reach the server, each tried once.

The writers are the product's own code, each in a greenlet that waits in its (replaced) socket.
Exploring is depth first: a schedule is run from the start each time, on a server that is set back
before. Two things are left out, both without losing an order that could matter:

- *The same state again.* Where two orders have led to the same replies to every writer, the same
  keys, the same WATCHes (and what has touched the watched keys since), the future is the same:
  the second is not followed further. So N states stand for all paths through them, which are
  counted.
- *Polling in vain.* A writer that sleeps before it asks again is woken after the next change of a
  key: without one, it would only read the same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import greenlet
import hiredis
import redis.connection

import store.backoff
import store.epoch
import store.fence
from store.keys import Keys
from tests.faults.interleaving.channels import (
    Channel,
    Command,
    Lines,
    Step,
    comparable,
    queued,
    reads,
)
from tests.faults.interleaving.rules import SCHEMA_VERSION, USER, Content, Rules, Told, Violation

assert SCHEMA_VERSION == 1

CLOCK = "clock"
NIL = b"*-1\r\n"


class Stop(BaseException):
    """Ends a writer whose schedule is not followed further."""


@dataclass(eq=False)
class Look:
    """A step that is not the server's: a writer looks at the sources."""

    told: str = "opens its snapshots"


@dataclass(eq=False)
class Actor:
    """One writer, its code in a greenlet."""

    told: Told
    let: Any = None
    waiting: Step | Look | None = None
    sleeping: bool = False
    woken: bool = True
    seen: int = 0
    """How many changes there were when it began to look."""
    history: bytes = b""
    channels: list[Channel] = field(default_factory=list)
    tokens: int = 0
    error: str = ""


@dataclass(eq=False)
class Late:
    """Bytes that their writer has given up, and that the server gets later."""

    by: str
    step: Step


Work = Callable[["World", Told], None]


@dataclass(frozen=True)
class Scenario:
    """Some writers and what Redis holds before.

    ``expiries``, ``cuts`` and ``moves`` are how often, at any moment: a sign of life runs out
    though its writer works; a writer waits no longer for a reply, while its bytes still arrive;
    the sources move on to the next version.
    """

    name: str
    writers: tuple[tuple[str, int, int, Work], ...]
    """Name, epoch (-1: drawn), version (-1: as seen), code."""
    initial: int
    redis: tuple[Command, ...]
    constant: frozenset[bytes] = frozenset()
    """Keys that no writer changes: reading them commutes with everything."""
    expiries: int = 0
    cuts: int = 0
    moves: int = 0


@dataclass
class Explored:
    """What one scenario came to."""

    name: str
    states: int = 0
    schedules: int = 0
    steps: int = 0
    orders: int = 0
    """Interleavings that these states stand for."""
    ends: dict[tuple[str, ...], int] = field(default_factory=dict)
    violation: Violation | None = None
    path: list[str] = field(default_factory=list)


class World:
    """One server, set back and played again and again."""

    def __init__(self, port: int, keys: Keys) -> None:
        self.url, self.keys = f"redis://127.0.0.1:{port}/0", keys
        self._lines = Lines(port)
        self._observer = Lines(port).take()
        self._results = hiredis.Reader()
        self.actors: dict[str, Actor] = {}
        self.dead = True

    # What the writers meet

    def wait_for(self, step: Step | Look) -> bytes:
        actor = self.actor
        actor.waiting = step
        reply = self._main.switch()
        actor.waiting = None
        return bytes(reply)

    def sleep(self, seconds: float) -> None:
        if self.dead:
            return
        actor = self.actor
        actor.sleeping = True
        self._main.switch()
        actor.sleeping = False

    def look_at_sources(self) -> int:
        """The version that the sources are at."""
        return int(self.wait_for(Look()))

    @property
    def actor(self) -> Actor:
        current = greenlet.getcurrent()
        return next(actor for actor in self.actors.values() if actor.let is current)

    def connect(self, connection: Any = None) -> Channel:
        if self.dead:
            raise ConnectionRefusedError("this schedule is over")
        actor = self.actor
        channel = Channel(self, actor.told.name, self._lines.take(), self._is_own)
        actor.channels.append(channel)
        return channel

    def token(self) -> Any:
        actor = self.actor
        actor.tokens += 1
        return SimpleNamespace(hex=f"{actor.told.name}{actor.tokens}")

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Has the product meet this world instead of sockets, sleep and chance."""
        polling = SimpleNamespace(sleep=self.sleep, monotonic=lambda: 0.0)
        nap = SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: 0.0)
        # Not through the driver's retries and handshakes: nothing of it is a step.
        with (
            mock.patch.object(redis.connection.Connection, "_connect", lambda c: self.connect()),
            mock.patch.object(store.fence, "time", polling),
            mock.patch.object(store.epoch, "time", polling),
            mock.patch.object(store.backoff, "time", nap),
            mock.patch.object(store.epoch, "uuid4", self.token),
        ):
            yield
        self._lines.close()

    # What the schedule does

    def begin(self, scenario: Scenario) -> None:
        self._lines.clean()
        self._ask(((b"FLUSHALL", b"SYNC"), *scenario.redis))
        self.scenario, self.dead = scenario, False
        self.changes, self.version = 0, 1
        self.expiries, self.cuts, self.moves = scenario.expiries, scenario.cuts, scenario.moves
        self.late: list[Late] = []
        self.rules = Rules(scenario.initial, bool(scenario.expiries or scenario.cuts))
        self.content = self._read()
        self._main = greenlet.getcurrent()
        self.actors = {}
        for name, epoch, version, work in scenario.writers:
            actor = Actor(Told(name, epoch, version))
            actor.let = greenlet.greenlet(self._code(actor, work))
            self.actors[name] = actor
        for actor in self.actors.values():
            actor.let.switch()

    def finish(self) -> None:
        self.dead = True
        for actor in self.actors.values():
            if not actor.let.dead:
                actor.let.throw(Stop)
            actor.channels.clear()

    def choices(self) -> list[str]:
        """What can happen next."""
        found = [
            f"go {name}"
            for name, actor in self.actors.items()
            if actor.waiting is not None and not actor.sleeping
        ]
        if self.cuts:
            found += [
                f"cut {name}"
                for name, actor in self.actors.items()
                if isinstance(actor.waiting, Step)
            ]
        found += [f"late {number}" for number, late in enumerate(self.late) if late.step.commands]
        if found and self.expiries and self.content.alive is not None:
            found.append("expire")
        if found and self.moves:
            found.append("move")
        return found

    def do(self, choice: str) -> None:
        """Lets one thing happen.

        Raises:
            Violation: it broke a rule.
        """
        what, _, name = choice.partition(" ")
        if what == "go":
            self._go(self.actors[name])
        elif what == "cut":
            self._cut(self.actors[name])
        elif what == "late":
            late = self.late[int(name)]
            self._execute(late.by, late.step)
            late.step = late.step.channel.next_step()
        elif what == "expire":
            self.expiries -= 1
            self._ask(((b"DEL", self.keys.alive(0)),))
            self._changed(CLOCK, {self.keys.alive(0)}, b"expire")
        else:
            self.moves -= 1
            self.version += 1

    def told(self, choice: str) -> str:
        """For people: what a choice is, before it happens."""
        what, _, name = choice.partition(" ")
        waiting = self.actors[name].waiting if what == "go" else None
        return choice if waiting is None else f"{name}: {waiting.told}"

    def judge_end(self) -> None:
        """Where every writer has ended: is the result right?"""
        if all(actor.let.dead for actor in self.actors.values()):
            self.rules.all_ended(self._told(), self.content)
        elif not self.choices():
            raise Violation("hangs", "every writer waits for another")

    def state(self) -> bytes:
        """What decides everything that can still happen, and be judged."""
        made = hashlib.blake2b(digest_size=16)
        parts: list[Any] = [self.content, self.rules, self.version]
        parts += [self.expiries, self.cuts, self.moves]
        for actor in self.actors.values():
            watching = [
                (place, sorted(channel.watched), channel.since)
                for place, channel in enumerate(actor.channels)
                if channel.watched and not channel.closed
            ]
            parts += [actor.history, actor.sleeping, watching, actor.told]
            if actor.sleeping:
                parts.append(self.changes > actor.seen)
        for late in self.late:
            if late.step.commands:
                channel = late.step.channel
                parts += [late.by, late.step.commands, list(channel.pending)]
                parts += [sorted(channel.watched), channel.since]
        made.update(repr(parts).encode())
        return made.digest()

    @property
    def ends(self) -> tuple[str, ...]:
        return tuple(f"{name} {a.told.end}" for name, a in self.actors.items())

    def _code(self, actor: Actor, work: Work) -> Callable[[], None]:
        from core.errors import FenceLost, TargetUnavailable

        def run() -> None:
            try:
                work(self, actor.told)
                actor.told.end = "success"
            except FenceLost:
                actor.told.end = "refused"
            except TargetUnavailable:
                actor.told.end = "unavailable"
            except Stop:
                return
            except Exception as error:
                actor.error = f"{type(error).__name__}: {error}"

        return run

    def _go(self, actor: Actor) -> None:
        step = actor.waiting
        if actor.woken:
            actor.woken, actor.seen = False, self.changes
        if isinstance(step, Look):
            reply = b"%d" % self.version
        else:
            assert step is not None
            reply = self._execute(actor.told.name, step)
        self._resume(actor, reply)

    def _cut(self, actor: Actor) -> None:
        step = actor.waiting
        assert isinstance(step, Step)
        self.cuts -= 1
        self.late.append(Late(actor.told.name, step))
        step.channel.cut = True
        actor.waiting = None
        actor.history = _hashed(actor.history, b"cut")
        actor.let.throw(TimeoutError("cut"))
        self._after(actor)

    def _execute(self, by: str, step: Step) -> bytes:
        if step.writes and step.keys & self.scenario.constant:
            raise AssertionError(f"{step.told} writes what is called constant")
        reply = step.channel.execute(step)
        if step.writes and not reply.endswith(NIL):
            self._changed(by, step.keys, repr(step.commands).encode())
        return reply

    def _resume(self, actor: Actor, reply: bytes) -> None:
        actor.history = _hashed(actor.history, comparable(reply))
        actor.let.switch(reply)
        self._after(actor)

    def _after(self, actor: Actor) -> None:
        if actor.error:
            raise Violation("false_success", f"{actor.told.name} ended with {actor.error}")
        if actor.let.dead:
            self.rules.ended(actor.told.name, self._told(), self.content)
        self._wake()

    def _changed(self, by: str, keys: set[bytes], what: bytes) -> None:
        self.changes += 1
        name = _hashed(by.encode(), what)
        for actor in self.actors.values():
            for channel in actor.channels:
                if channel.watched & keys:
                    channel.since.append(name)
        old, self.content = self.content, self._read()
        self.rules = self.rules.changed(by, self._told(), old, self.content)
        self._wake()

    def _wake(self) -> None:
        for actor in self.actors.values():
            if actor.sleeping and self.changes > actor.seen:
                actor.woken = True
                actor.let.switch(b"")

    def _told(self) -> dict[str, Told]:
        return {name: actor.told for name, actor in self.actors.items()}

    def _is_own(self, command: Command) -> bool:
        constant = self.scenario.constant
        if queued(command):
            return True
        return reads(command) and command[0] != b"WATCH" and set(command[1:]) <= constant

    def _read(self) -> Content:
        keys, user = self.keys, USER
        fence, alive, floor, counter, opening, mark, profile, credential, t1, t2, listed = (
            self._ask(
                (
                    (b"GET", keys.fence(0)),
                    (b"GET", keys.alive(0)),
                    (b"GET", keys.floor(0)),
                    (b"GET", keys.epoch),
                    (b"GET", keys.opening),
                    (b"HGET", keys.removed(0), user.encode()),
                    (b"JSON.GET", keys.profile(user)),
                    (b"JSON.GET", keys.credential(user)),
                    (b"TTL", keys.profile(user)),
                    (b"TTL", keys.credential(user)),
                    (b"HKEYS", keys.suppressed),
                )
            )
        )
        mark = -1 if mark is None else int(mark)
        numbers = int(floor or 0), int(counter or 0)
        listed = tuple(sorted(listed))
        return Content(fence, alive, *numbers, opening, mark, profile, credential, (t1, t2), listed)

    def _ask(self, commands: tuple[Command, ...]) -> list[Any]:
        text = [
            b"*%d\r\n" % len(c) + b"".join([b"$%d\r\n%b\r\n" % (len(a), a) for a in c])
            for c in commands
        ]
        self._observer.sendall(b"".join(text))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._results.gets()
            if reply is False:
                self._results.feed(self._observer.recv(1 << 16))
            elif isinstance(reply, Exception):
                raise reply
            else:
                replies.append(reply)
        return replies


def _hashed(*parts: bytes) -> bytes:
    made = hashlib.blake2b(digest_size=12)
    for part in parts:
        made.update(b"%d:%b" % (len(part), part))
    return made.digest()


def explore(world: World, scenario: Scenario, most: int | None = None) -> Explored:
    """All orders of a scenario, up to the first violation.

    Args:
        most: stop after so many states; ``orders`` is 0 then.
    """
    made = Explored(scenario.name)
    edges: dict[bytes, list[bytes]] = {}
    open_: list[tuple[str, ...]] = [()]
    while open_:
        prefix = open_.pop()
        if most is not None and len(edges) >= most:
            return made
        made.schedules += 1
        path: list[str] = []
        try:
            world.begin(scenario)
            parent = _replayed(world, prefix, path)
            _followed(world, prefix, path, parent, edges, open_, made)
        except Violation as violation:
            made.violation, made.path = violation, path
            return made
        finally:
            world.finish()
            made.steps += len(path)
            made.states = len(edges)
    made.orders = _paths(edges)
    return made


def _replayed(world: World, prefix: tuple[str, ...], path: list[str]) -> bytes | None:
    """Does what the prefix says; the state before its last choice."""
    parent = None
    for number, choice in enumerate(prefix):
        if number == len(prefix) - 1:
            parent = world.state()
        path.append(world.told(choice))
        world.do(choice)
    return parent


def _followed(
    world: World,
    prefix: tuple[str, ...],
    path: list[str],
    parent: bytes | None,
    edges: dict[bytes, list[bytes]],
    open_: list[tuple[str, ...]],
    made: Explored,
) -> None:
    """Goes on to an end, or to a state that is known; keeps what else could have happened."""
    done = prefix
    while True:
        here = world.state()
        if parent is not None:
            edges[parent].append(here)
        if here in edges:
            return
        edges[here] = []
        world.judge_end()
        choices = world.choices()
        if not choices:
            made.ends[world.ends] = made.ends.get(world.ends, 0) + 1
            return
        open_.extend((*done, choice) for choice in choices[1:])
        parent, choice = here, choices[0]
        done = (*done, choice)
        path.append(world.told(choice))
        world.do(choice)


def _paths(edges: dict[bytes, list[bytes]]) -> int:
    """How many ways lead from the first state to an end."""
    ways: dict[bytes, int] = {}
    todo = [next(iter(edges))]
    while todo:
        here = todo[-1]
        missing = [there for there in edges[here] if there not in ways]
        if missing:
            todo += missing
            continue
        ways[here] = sum([ways[there] for there in edges[here]]) or 1
        todo.pop()
    return ways[next(iter(edges))]
