"""One Redis and the product's writers, each in a greenlet; one thing happens at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import greenlet

from core.errors import FenceLost, TargetUnavailable
from store.keys import Keys
from tests.faults.interleaving.channels import (
    NIL,
    NOT_SET,
    Channel,
    Command,
    Lines,
    Step,
    comparable,
    exchange,
    is_own,
    reads,
)
from tests.faults.interleaving.held import Held
from tests.faults.interleaving.pieces import (
    CLOCK,
    SOURCES,
    Actor,
    Effect,
    Late,
    Look,
    Scenario,
    Stop,
    Work,
)
from tests.faults.interleaving.rules import Rules, Told, Violation


class World:
    """One server, set back and played again and again.

    What the server said on a path is kept, so that a path is played again without it; then the
    server is set to where the path ended, and goes on for real.
    """

    def __init__(self, path: str, keys: Keys) -> None:
        self.url, self.keys = "redis://127.0.0.1:1/0", keys
        self._lines, self._own = Lines(path), Lines(path)
        self._observer = self._own.take()
        self._held = Held(self._observer, keys)
        self._settled: dict[Command, bytes] = {}
        self.actors: dict[str, Actor] = {}
        self.dead = True
        self._heard: deque[Any] = deque()
        self.said: list[Any] = []

    # What the writers meet

    def wait_for(self, step: Step | Look) -> bytes:
        actor = self.actor
        actor.waiting = step
        reply = self._main.switch()
        actor.waiting = None
        return bytes(reply)

    def settled(self, commands: list[Command]) -> bytes:
        """Replies that are always the same."""
        unknown = [command for command in commands if command not in self._settled]
        for command in unknown:
            kept = b"+OK\r\n" if command[0] != b"INFO" and command[0] in _PLAIN_OK else None
            self._settled[command] = kept or exchange(self._observer, [command])
        return b"".join([self._settled[command] for command in commands])

    def is_own(self, command: Command) -> bool:
        """Whether a command commutes with whatever others do."""
        named = set(command[1:])
        constant = reads(command) and command[0] != b"WATCH" and named <= self.scenario.constant
        return is_own(command) or (constant and bool(named))

    def sleep(self, seconds: float) -> None:
        """Sleeps until a key changes: before, the writer would only see the same again."""
        if self.dead:
            return
        actor = self.actor
        # Nothing is kept from one poll to the next (store.fence.take, store.epoch._lock).
        actor.history = actor.before_polling
        actor.sleeping = True
        self._main.switch()
        actor.sleeping = False

    def polls(self, function: Any) -> Any:
        """The function, which asks until it gets what it wants, and remembers nothing."""

        def polling(*arguments: Any, **named: Any) -> Any:
            if not self.dead:
                actor = self.actor
                actor.before_polling, actor.woken = actor.history, True
            return function(*arguments, **named)

        return polling

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
        channel = Channel(self)
        self.actor.channels.append(channel)
        return channel

    def token(self) -> Any:
        actor = self.actor
        actor.tokens += 1
        return SimpleNamespace(hex=f"{actor.told.name}{actor.tokens}")

    def close(self) -> None:
        self._lines.close()
        self._own.close()

    # What the schedule does

    def begin(self, scenario: Scenario, heard: list[Any]) -> None:
        """Starts the writers; what was heard before is heard again, without the server."""
        self.scenario, self.dead = scenario, False
        self._heard, self.said = deque(heard), []
        self.changes, self.version = 0, 1
        self.expiries, self.cuts, self.moves = scenario.expiries, scenario.cuts, scenario.moves
        self.late: list[Late] = []
        wins = not (scenario.expiries or scenario.cuts)
        self.rules = Rules(scenario.initial, wins, scenario.moves > 0)
        self.content = scenario.before
        self._main = greenlet.getcurrent()
        self.actors = {}
        for name, epoch, version, work in scenario.writers:
            actor = Actor(Told(name, epoch, version))
            actor.let = greenlet.greenlet(self._code(actor, work))
            self.actors[name] = actor
        for actor in self.actors.values():
            actor.let.switch()
            self._after(actor)

    def set_server(self) -> None:
        """Makes the server what it was where the replies that are heard again end."""
        if self._heard:
            raise AssertionError("a path went another way than before")
        self._lines.clean()
        channels = [c for c in self._channels() if c.watched]
        for channel in channels:
            channel.unsent.clear()
            if channel.dirty:
                exchange(self._line(channel), [(b"WATCH", *channel.watched)])
        touched = {key for channel in channels if channel.dirty for key in channel.watched}
        commands = [(b"SET", key, b"touched") for key in touched]
        exchange(
            self._observer, [*commands, *self._held.restoring(self.content, self.scenario.redis)]
        )
        for channel in channels:
            if not channel.dirty:
                exchange(self._line(channel), [(b"WATCH", *channel.watched)])

    def finish(self) -> None:
        self.dead = True
        for actor in self.actors.values():
            if not actor.let.dead:
                actor.let.throw(Stop)
            actor.channels.clear()

    def choices(self) -> dict[str, Effect]:
        """What can happen next."""
        found: dict[str, Effect] = {}
        for name, actor in self.actors.items():
            step = actor.waiting
            if step is not None and not actor.sleeping:
                # When a poll begins decides after which changes it is repeated.
                about_all = step.about_all or actor.woken
                found[f"go {name}"] = Effect(name, step.writes, step.keys, about_all)
        for name, actor in self.actors.items():
            if self.cuts and isinstance(actor.waiting, Step) and self._is_at_fence(actor.waiting):
                # The server notices nothing of it.
                found[f"cut {name}"] = Effect(name, False, frozenset(), is_cut=True)
        for number, late in enumerate(self.late):
            step = late.step
            if step.commands:
                by = f"late {number}"
                found[by] = Effect(by, step.writes, step.keys, step.about_all)
        if found and self.expiries:
            for what, key in self._running_out().items():
                found[f"expire {what}"] = Effect(CLOCK, True, frozenset({key}))
        if found and self.moves:
            found["move"] = Effect(SOURCES.decode(), True, frozenset({SOURCES}))
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
            late.step = _what_matters(late.step.channel, late.step.channel.next_step())
        elif what == "expire":
            self.expiries -= 1
            expired = Step(Channel(self), [(b"DEL", self._running_out()[name])])
            self._execute(CLOCK, expired)
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
        parts: list[Any] = [
            self.content,
            sorted(self.rules.committed),
            self.rules.tenant,
            self.version,
        ]
        parts += [self.expiries, self.cuts, self.moves]
        for actor in self.actors.values():
            told = actor.told
            parts += [told.name, told.epoch, told.version, told.end]
            if not actor.let.dead:
                parts += [actor.history, actor.before_polling, actor.sleeping, actor.woken]
                parts.append(self.changes > actor.seen)
        for channel in self._channels():
            if channel.watched:
                parts.append((sorted(channel.watched), channel.dirty))
        for late in [late for late in self.late if late.step.commands]:
            parts += [late.by, late.step.commands, list(late.step.channel.pending)]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()

    @property
    def ends(self) -> str:
        return ", ".join(f"{name} {a.told.end}" for name, a in self.actors.items())

    def _code(self, actor: Actor, work: Work) -> Callable[[], None]:
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
        if isinstance(step, Step):
            reply = self._execute(actor.told.name, step)
        else:
            reply = b"%d" % self.version
        actor.history = _hashed(actor.history, comparable(reply))
        actor.let.switch(reply)
        self._after(actor)

    def _cut(self, actor: Actor) -> None:
        step = actor.waiting
        assert isinstance(step, Step)
        self.cuts -= 1
        self.late.append(Late(actor.told.name, _what_matters(step.channel, step)))
        step.channel.cut = True
        actor.waiting = None
        actor.history = _hashed(actor.history, b"cut")
        actor.let.throw(TimeoutError("cut"))
        self._after(actor)

    def _execute(self, by: str, step: Step) -> bytes:
        if step.writes and step.keys & self.scenario.constant:
            raise AssertionError(f"{step.told} writes what is called constant")
        channel = step.channel
        heard = self._heard
        reply = heard.popleft() if heard else channel.execute(step, self._line(channel))
        self.said.append(reply)
        channel.note(step)
        if step.writes and not reply.endswith((NIL, NOT_SET)):
            self._changed(by, step)
        return bytes(reply)

    def _changed(self, by: str, step: Step) -> None:
        self.changes += 1
        old = self.content
        self.content = self._heard.popleft() if self._heard else self._held.content()
        self.said.append(self.content)
        there = {self.keys.fence(0): old.fence, self.keys.opening: old.opening}
        for channel in self._channels():
            for key in channel.watched & step.keys:
                set_ = any(key in c and c[0] != b"DEL" for c in step.commands)
                channel.dirty |= set_ or there[key] is not None
        self.rules = self.rules.changed(by, self._told(), old, self.content)
        self._wake()

    def _after(self, actor: Actor) -> None:
        if actor.error:
            raise Violation("false_success", f"{actor.told.name} ended with {actor.error}")
        if actor.let.dead:
            self.rules.ended(actor.told.name, self._told(), self.content)
        self._wake()

    def _wake(self) -> None:
        for actor in self.actors.values():
            if actor.sleeping and self.changes > actor.seen:
                actor.woken = True
                actor.let.switch(b"")

    def _told(self) -> dict[str, Told]:
        return {name: actor.told for name, actor in self.actors.items()}

    def _channels(self) -> Iterator[Channel]:
        """Those on which the server may still execute something."""
        for actor in self.actors.values():
            if not actor.let.dead:
                yield from (channel for channel in actor.channels if not channel.closed)
        yield from (late.step.channel for late in self.late if late.step.commands)

    def _running_out(self) -> dict[str, bytes]:
        """Keys with a time to live that are there."""
        there = {"alive": self.content.alive, "lock": self.content.opening}
        keys = {"alive": self.keys.alive(0), "lock": self.keys.opening}
        return {what: keys[what] for what, value in there.items() if value is not None}

    def _is_at_fence(self, step: Step) -> bool:
        """Whether it writes, or stands behind a batch; what only looks is simply asked again."""
        return step.writes or self.keys.fence(0) in step.keys

    def _line(self, channel: Channel) -> Any:
        if channel.line is None:
            channel.line = self._lines.take()
        return channel.line


_PLAIN_OK = frozenset(b"MULTI UNWATCH CLIENT DISCARD SELECT".split())


def _what_matters(channel: Channel, step: Step) -> Step:
    """The next of late bytes' steps, or an empty one: nobody hears the replies to mere reading."""
    left = [step, Step(channel, list(channel.pending))]
    if any(each.writes for each in left):
        return step
    channel.pending.clear()
    return Step(channel, [])


def _hashed(*parts: bytes) -> bytes:
    made = hashlib.blake2b(digest_size=12)
    for part in parts:
        made.update(b"%d:%b" % (len(part), part))
    return made.digest()
