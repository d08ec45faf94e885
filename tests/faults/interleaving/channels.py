"""Connections whose commands reach a real Redis one at a time, when the schedule says so.

A ``Channel`` stands in the place of the driver's socket. What a writer sends is kept; the server
gets it step by step, while the writer waits in the driver for the reply. A *step* is one command,
as the server executes it: ``MULTI … EXEC`` is one, because what is queued does nothing before
EXEC. Commands about nothing but their own connection or the server process (MULTI, UNWATCH, CLIENT, INFO server) are no
steps of their own: they commute with whatever others do, and go with the step behind them.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import hiredis

Command = tuple[bytes, ...]

_READING = frozenset(
    b"GET MGET HGET HGETALL EXISTS TYPE PTTL TTL INFO WATCH JSON.GET JSON.MGET SCAN DBSIZE".split()
)
_OWN = frozenset(b"MULTI UNWATCH CLIENT HELLO PING DISCARD SELECT ROLE".split())
_TIMES = re.compile(rb"\$\d+\r\n(?=# Keyspace)|,avg_ttl=\d+|,subexpiry=\d+")
_NO_REPLY = object()


class Waiting(Protocol):
    """Whoever decides when a step is executed."""

    def wait_for(self, step: Step) -> bytes: ...


@dataclass(eq=False)
class Step:
    """Commands that the server executes with nothing between them that others could notice."""

    channel: Channel
    commands: list[Command]

    @property
    def told(self) -> str:
        """For people: which commands, without values."""
        names = [b" ".join(command[:2]) if len(command) > 1 else command[0] for command in self]
        return " ".join(name.decode(errors="replace") for name in names)

    @property
    def keys(self) -> set[bytes]:
        """Every argument; keys are among them."""
        return {argument for command in self.commands for argument in command[1:]}

    @property
    def writes(self) -> bool:
        """Whether it could change a key."""
        return any(command[0] not in _READING | _OWN | {b"EXEC"} for command in self.commands)

    def __iter__(self) -> Any:
        return iter(self.commands)


@dataclass(eq=False)
class Channel:
    """In the place of a socket of the driver."""

    world: Waiting
    owner: str
    line: socket.socket
    """To the server."""
    is_own: Callable[[Command], bool]
    """Whether a command commutes with whatever others do."""
    pending: deque[Command] = field(default_factory=deque)
    closed: bool = False
    cut: bool = False
    watched: set[bytes] = field(default_factory=set)
    since: list[bytes] = field(default_factory=list)
    """Since the first WATCH: which steps of others changed one of the watched keys."""
    _requests: Any = field(default_factory=hiredis.Reader)
    _replies: bytearray = field(default_factory=bytearray)
    _results: Any = field(default_factory=hiredis.Reader)

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
            if all(self.is_own(command) for command in step.commands):
                self._replies += self.execute(step)
            else:
                self._replies += self.world.wait_for(step)
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
            name = command[0]
            within = name == b"MULTI" or (within and name != b"EXEC")
            if not within and not self.is_own(command):
                break
        return Step(self, taken)

    def execute(self, step: Step) -> bytes:
        """Has the server execute a step now; the replies as it sent them."""
        self.line.sendall(b"".join([_packed(command) for command in step.commands]))
        text = bytearray()
        left = len(step.commands)
        while left:
            data = self.line.recv(1 << 16)
            if not data:
                raise AssertionError("the server has closed a connection")
            text += data
            self._results.feed(data)
            while left and self._results.gets() is not False:
                left -= 1
        for command in step.commands:
            self._note(command)
        return bytes(text)

    def _note(self, command: Command) -> None:
        if command[0] == b"WATCH":
            self.watched.update(command[1:])
        elif command[0] in (b"EXEC", b"UNWATCH", b"DISCARD"):
            self.watched.clear()
            self.since.clear()

    def settimeout(self, seconds: float | None) -> None:
        pass

    def gettimeout(self) -> float:
        return 1.0

    def fileno(self) -> int:
        return self.line.fileno()

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def queued(command: Command) -> bool:
    """Whether a command is for its own connection alone, whatever the keys are."""
    about_keys = len(command) < 2 or b"keyspace" in command
    return command[0] in _OWN or (command[0] == b"INFO" and not about_keys)


def reads(command: Command) -> bool:
    """Whether a command can't change a key."""
    return command[0] in _READING


def comparable(replies: bytes) -> bytes:
    """Replies without what only the clock changes in them."""
    return _TIMES.sub(b"", replies)


class Lines:
    """Connections to the server that are used again, clean each time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[socket.socket] = []
        self._used: list[socket.socket] = []

    def take(self) -> socket.socket:
        line = (
            self._free.pop() if self._free else socket.create_connection(("127.0.0.1", self._port))
        )
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used.append(line)
        return line

    def clean(self) -> None:
        """Forgets every WATCH and every queued command, on all of them."""
        for line in self._used:
            line.sendall(b"*1\r\n$5\r\nRESET\r\n")
        for line in self._used:
            answer = b""
            while not answer.endswith(b"+RESET\r\n"):
                more = line.recv(4096)
                if not more:
                    raise AssertionError("the server has closed a connection")
                answer += more
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
