"""Connections whose commands reach a real Redis one at a time, when the schedule says so.

A ``Channel`` stands in the place of the driver's socket. What a writer sends is kept; the server
gets it step by step, while the writer waits in the driver for the reply. A *step* is one command,
as the server executes it: ``MULTI … EXEC`` is one, because what is queued does nothing before
EXEC. Commands about nothing but their own connection or the server process (MULTI, UNWATCH,
CLIENT, INFO server) are no steps of their own: they commute with whatever others do.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import hiredis

Command = tuple[bytes, ...]

NIL = b"*-1\r\n"
"""EXEC's reply where a watched key was touched."""

NOT_SET = b"$-1\r\n"
"""SET … NX's reply where there was a value."""

_READING = frozenset(
    b"GET MGET HGET HGETALL EXISTS TYPE PTTL TTL INFO WATCH JSON.GET JSON.MGET SCAN DBSIZE".split()
)
_OWN = frozenset(b"MULTI UNWATCH CLIENT HELLO PING DISCARD SELECT ROLE".split())
_ABOUT_ALL = frozenset(b"INFO SCAN DBSIZE".split())
_EXPIRES = re.compile(
    rb"\*2\r\n:(\d+)\r\n\$\d+\r\n# Keyspace.*?expires=(\d+).*?\r\n\r\n", re.DOTALL
)


class Server(Protocol):
    """Whoever decides when a step is executed, and remembers what never changes."""

    def wait_for(self, step: Step) -> bytes: ...
    def settled(self, commands: list[Command]) -> bytes: ...
    def is_own(self, command: Command) -> bool: ...


@dataclass(eq=False)
class Step:
    """Commands that the server executes with nothing between them that others could notice."""

    channel: Channel
    commands: list[Command]

    @property
    def told(self) -> str:
        """For people: which commands on which keys."""
        names = [
            b" ".join(command[:2]) if len(command) > 1 else command[0] for command in self.commands
        ]
        return " ".join(name.decode(errors="replace") for name in names)

    @property
    def keys(self) -> frozenset[bytes]:
        """Every argument; keys are among them."""
        return frozenset(argument for command in self.commands for argument in command[1:])

    @property
    def writes(self) -> bool:
        """Whether it could change a key."""
        return any(command[0] not in _READING | _OWN | {b"EXEC"} for command in self.commands)

    @property
    def about_all(self) -> bool:
        """Whether every change of a key could show in the reply."""
        return any(command[0] in _ABOUT_ALL for command in self.commands)


@dataclass(eq=False)
class Channel:
    """In the place of a socket of the driver."""

    server: Server
    pending: deque[Command] = field(default_factory=deque)
    closed: bool = False
    cut: bool = False
    watched: set[bytes] = field(default_factory=set)
    dirty: bool = False
    """Whether a watched key was touched: EXEC will answer nil."""
    unsent: list[Command] = field(default_factory=list)
    line: socket.socket | None = None
    _requests: Any = field(default_factory=hiredis.Reader)
    _replies: bytearray = field(default_factory=bytearray)

    def sendall(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionResetError("closed")
        self._requests.feed(bytes(data))
        while (command := self._requests.gets()) is not False:
            self.pending.append(tuple(command))

    def recv_into(self, buffer: bytearray) -> int:
        if not self._replies:
            if self.closed or self.cut:
                raise ConnectionResetError("closed")
            if not self.pending:
                raise TimeoutError("nothing was asked")
            step = self.next_step()
            if all(self.server.is_own(command) for command in step.commands):
                self.unsent += [c for c in step.commands if c[0] == b"UNWATCH"]
                self.note(step)
                self._replies += self.server.settled(step.commands)
            else:
                self._replies += self.server.wait_for(step)
        size = min(len(buffer), len(self._replies))
        buffer[:size] = self._replies[:size]
        del self._replies[:size]
        return size

    def next_step(self) -> Step:
        """Takes what the server executes next."""
        taken: list[Command] = []
        within = False
        while self.pending:
            command = self.pending.popleft()
            taken.append(command)
            within = command[0] == b"MULTI" or (within and command[0] != b"EXEC")
            if not within and not self.server.is_own(command):
                break
        return Step(self, taken)

    def execute(self, step: Step, line: socket.socket) -> bytes:
        """Has the server execute a step now; the replies as it sent them."""
        text = exchange(line, [*self.unsent, *step.commands], len(self.unsent))
        self.unsent.clear()
        names = [command[0] for command in step.commands]
        if b"EXEC" in names and text.endswith(NIL) is not self.dirty:
            raise AssertionError(
                f"{step.told}: dirty is {self.dirty}, and the server says otherwise"
            )
        return text

    def note(self, step: Step) -> None:
        """Keeps in mind what the server now watches for this connection."""
        for command in step.commands:
            if command[0] == b"WATCH":
                self.watched.update(command[1:])
            elif command[0] in (b"EXEC", b"UNWATCH", b"DISCARD"):
                self.watched.clear()
                self.dirty = False

    def settimeout(self, seconds: float | None) -> None:
        pass

    def gettimeout(self) -> float:
        return 1.0

    def fileno(self) -> int:
        return -1

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def is_own(command: Command) -> bool:
    """Whether a command commutes with whatever others do."""
    about_keys = len(command) < 2 or b"keyspace" in command
    return command[0] in _OWN or (command[0] == b"INFO" and not about_keys)


def reads(command: Command) -> bool:
    """Whether a command can't change a key."""
    return command[0] in _READING


def comparable(replies: bytes) -> bytes:
    """Replies without what makes no difference to their reader.

    Of the keyspace only one thing is asked: whether more keys expire than are known to.
    """
    return _EXPIRES.sub(lambda m: b"more" if int(m[2]) > int(m[1]) else b"none", replies)


def exchange(line: socket.socket, commands: list[Command], unheard: int = 0) -> bytes:
    """Sends commands, and gives their replies but for the first ``unheard`` ones."""
    line.sendall(b"".join([_packed(command) for command in commands]))
    reader, text, heard = hiredis.Reader(), bytearray(), 0
    left = len(commands)
    while left:
        data = line.recv(1 << 16)
        if not data:
            raise AssertionError("the server has closed a connection")
        text += data
        reader.feed(data)
        while left and reader.gets() is not False:
            left -= 1
    for _ in range(unheard):
        heard = text.index(b"\r\n", heard) + 2
    return bytes(text[heard:])


class Lines:
    """Connections to the server that are used again, clean each time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free: list[socket.socket] = []
        self._used: list[socket.socket] = []

    def take(self) -> socket.socket:
        if self._free:
            line = self._free.pop()
        else:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.connect(self._path)
        self._used.append(line)
        return line

    def clean(self) -> None:
        """Forgets every WATCH, on all of them."""
        for line in self._used:
            line.sendall(_packed((b"UNWATCH",)))
        for line in self._used:
            if line.recv(64) != b"+OK\r\n":
                raise AssertionError("a connection has replies that nobody read")
        self._free += self._used
        self._used = []

    def close(self) -> None:
        for line in self._free + self._used:
            line.close()
        self._free, self._used = [], []


def _packed(command: Command) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(
        [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in command]
    )
