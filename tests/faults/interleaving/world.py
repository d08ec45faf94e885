"""One Redis and the product's writers, each in a greenlet; one thing happens at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import greenlet
import hiredis
import redis.connection

import store.backoff
import store.epoch
import store.fence
import store.writer
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
from tests.faults.interleaving.rules import USER, Content, Rules, Told, Violation

CLOCK = "clock"
SOURCES = b"the sources"
_HOUR_MS = b"3600000"


class Stop(BaseException):
    """Ends a writer whose schedule is not followed further."""


@dataclass(eq=False)
class Look:
    """A step that is not the server's: a writer looks at the sources."""

    told: str = "opens its snapshots"
    writes: bool = False
    keys: frozenset[bytes] = frozenset({SOURCES})
    about_all: bool = False


Work = Callable[["World", Told], None]


@dataclass(frozen=True)
class Scenario:
    """Some writers and what Redis holds before.

    ``expiries``, ``cuts`` and ``moves`` are how often, at any moment: a sign of life or a lock
    runs out though its holder works; a writer waits no longer for a reply to a write, or for one that comes
    behind it, while its bytes still arrive; the sources move on to the next version.
    """

    name: str
    writers: tuple[tuple[str, int, int, Work], ...]
    """Name, epoch (-1: drawn), version (-1: as seen), code."""
    initial: int
    before: Content
    redis: tuple[Command, ...] = ()
    """What else Redis holds."""
    constant: frozenset[bytes] = frozenset()
    """Keys that no writer changes: reading them commutes with everything."""
    expiries: int = 0
    cuts: int = 0
    moves: int = 0


@dataclass(eq=False)
class Actor:
    """One writer."""

    told: Told
    let: Any = None
    waiting: Step | Look | None = None
    sleeping: bool = False
    woken: bool = True
    seen: int = 0
    """How many changes there were when it began to poll."""
    history: bytes = b""
    before_polling: bytes = b""
    channels: list[Channel] = field(default_factory=list)
    tokens: int = 0
    error: str = ""


@dataclass(eq=False)
class Late:
    """Bytes that their writer has given up, and that the server gets later."""

    by: str
    step: Step


class Effect(NamedTuple):
    """What a choice would do, as far as it matters to others."""

    by: str
    writes: bool
    keys: frozenset[bytes]
    about_all: bool = False
    is_cut: bool = False

    def commutes(self, other: Effect) -> bool:
        """Whether the order of the two makes no difference to anybody."""
        if self.by == other.by or (self.is_cut and other.is_cut):
            return False
        if self.writes or other.writes:
            if (self.writes and other.writes) or self.about_all or other.about_all:
                return False
            return not self.keys & other.keys
        return True


class World:
    """One server, set back and played again and again.

    What the server said on a path is kept, so that a path is played again without it; then the
    server is set to where the path ended, and goes on for real.
    """

    def __init__(self, path: str, keys: Keys) -> None:
        self.url, self.keys = "redis://127.0.0.1:1/0", keys
        self._lines, self._own = Lines(path), Lines(path)
        self._observer = self._own.take()
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

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Has the product meet this world instead of sockets, sleep and chance."""
        polling = SimpleNamespace(sleep=self.sleep, monotonic=lambda: 0.0)
        nap = SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: 0.0)
        patches = [
            (redis.connection.Connection, "_connect", lambda c: self.connect()),
            # Reading the driver's version from disk costs 3 ms a connection.
            (redis.connection, "resolve_driver_info", lambda *given: None),
            (redis.connection.Connection, "can_read", lambda c, timeout=0: False),
            (store.fence, "time", polling),
            (store.epoch, "time", polling),
            (store.backoff, "time", nap),
            (store.epoch, "uuid4", self.token),
            (store.epoch, "_lock", self.polls(store.epoch._lock)),
            (store.writer, "take", self.polls(store.writer.take)),
        ]
        with ExitStack() as cleanup:
            for place, name, new in patches:
                cleanup.enter_context(mock.patch.object(place, name, new))
            yield
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
        exchange(self._observer, [*commands, *self._restoring(self.content)])
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
        self.content = self._heard.popleft() if self._heard else self._read()
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

    def _read(self) -> Content:
        keys = self.keys
        replies = self._ask(
            (b"GET", keys.fence(0)),
            (b"GET", keys.alive(0)),
            (b"GET", keys.floor(0)),
            (b"GET", keys.epoch),
            (b"GET", keys.opening),
            (b"HGET", keys.removed(0), USER.encode()),
            (b"JSON.GET", keys.profile(USER)),
            (b"JSON.GET", keys.credential(USER)),
            (b"TTL", keys.profile(USER)),
            (b"TTL", keys.credential(USER)),
            (b"HGETALL", keys.suppressed),
        )
        fence, alive, floor, counter, opening, mark, profile, credential, *ttls, listed = replies
        mark = -1 if mark is None else int(mark)
        numbers = int(floor or 0), int(counter or 0)
        expiring = any(ttl >= 0 for ttl in ttls)
        return Content(
            fence, alive, *numbers, opening, mark, profile, credential, expiring, tuple(listed)
        )

    def _restoring(self, content: Content) -> Iterator[Command]:
        """Commands that make the server hold what is told, whatever it holds."""
        keys, user = self.keys, USER.encode()
        profile, credential = keys.profile(USER), keys.credential(USER)
        yield (
            b"DEL",
            *(keys.fence(0), keys.alive(0), keys.floor(0), keys.epoch, keys.opening),
            *(keys.removed(0), profile, credential, keys.suppressed),
        )
        yield from self.scenario.redis
        for key, value in ((keys.fence(0), content.fence),):
            if value is not None:
                yield (b"SET", key, value)
        for key, value in ((keys.alive(0), content.alive), (keys.opening, content.opening)):
            if value is not None:
                yield (b"SET", key, value, b"PX", _HOUR_MS)
        for key, number in ((keys.floor(0), content.floor), (keys.epoch, content.counter)):
            if number:
                yield (b"SET", key, b"%d" % number)
        if content.mark >= 0:
            yield (b"HSET", keys.removed(0), user, b"%d" % content.mark)
        for key, document in ((profile, content.profile), (credential, content.credential)):
            if document is not None:
                yield (b"JSON.SET", key, b"$", document)
        if content.listed:
            yield (b"HSET", keys.suppressed, *content.listed)

    def _ask(self, *commands: Command) -> list[Any]:
        reader = hiredis.Reader()
        reader.feed(exchange(self._observer, list(commands)))
        replies = [reader.gets() for _ in commands]
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


_PLAIN_OK = frozenset(b"MULTI UNWATCH CLIENT DISCARD SELECT".split())


def empty(counter: int) -> Content:
    """A Redis that holds nothing but the epoch counter."""
    return Content(None, None, 0, counter, None, -1, None, None, False, ())


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
