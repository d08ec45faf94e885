"""Bare connections: what is sent and what is read is said here, and nothing is sent twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import redis.exceptions as driver
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from core.errors import TargetUnavailable, TargetUnfit
from store.backoff import pauses
from store.client import Timeouts, pool_of
from store.driver_errors import driver_errors, mapped
from store.facts import Server, told
from store.resp import Argument, packed

Subject = TypeVar("Subject")

_WHO = packed("INFO", "server") + packed("INFO", "replication")


class Restarted(TargetUnavailable):
    """Redis is not the server that it was: writes that it acknowledged may be gone."""


class Primary:
    """The Redis that a task writes to: all connections must lead to the same server.

    Args:
        server: the one that it must be; None takes the first one met.
    """

    def __init__(
        self, url: str, timeouts: Timeouts = Timeouts(), server: Server | None = None
    ) -> None:
        self._pool = pool_of(url, timeouts)
        self.server = server

    def wire(self) -> Wire:
        """A new connection, not yet open."""
        return Wire(self)

    def new_connection(self) -> Any:
        """A connection of the driver, not yet open."""
        return self._pool.make_connection()

    def recognise(self, info: bytes) -> None:
        """Compares INFO's sections ``server`` and ``replication`` with what was met before."""
        server, primary = told(info)
        if not primary and self.server is None:
            raise TargetUnfit("this is a replica: point REDIS_URL at its primary")
        if self.server is None:
            self.server = server
        if server != self.server or not primary:
            raise Restarted(
                "another server answers than before (a restart or a failover): "
                "what was acknowledged may be gone; load again"
            )


class Wire:
    """One connection. Any error but an error reply leaves it closed."""

    def __init__(self, primary: Primary) -> None:
        self._primary = primary
        self._connection = primary.new_connection()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()

    def open(self) -> None:
        """Connects where not connected, and checks that it is still the same server."""
        if self._connection.is_connected:
            return
        try:
            with driver_errors("connecting"):
                self._connection.connect()
            self.send(_WHO)
            self._primary.recognise(b"".join(self.answers(2, "INFO")))
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Closes the connection; replies that are still to come are never read."""
        self._connection.disconnect()

    def send(self, commands: bytes) -> None:
        """Sends packed commands; never opens the connection, which could have lost a WATCH."""
        if not self._connection.is_connected:
            raise TargetUnavailable("the connection was closed before")
        try:
            self._connection.send_packed_command([commands], check_health=False)
        except (driver.RedisError, OSError) as error:
            raise mapped(error, "sending") from None

    def answer(self, command: str) -> Any:
        """The next reply.

        Raises:
            TargetError: for an error reply, or where none comes; the connection is closed then.
        """
        return self.answers(1, command)[0]

    def answers(self, number: int, command: str) -> list[Any]:
        """The next replies.

        Raises:
            TargetError: for an error reply, or where one is missing; the connection is closed
                then.
        """
        replies = self.replies(number, command)
        for reply in replies:
            if isinstance(reply, driver.RedisError):
                self.drop()
                raise mapped(reply, command)
        return replies

    def replies(self, number: int, command: str) -> list[Any]:
        """The next replies, where an ordinary error reply is a value, too.

        Reads as the driver's ``read_response`` does, which takes 1 µs more for each.

        Raises:
            TargetError: where one is missing; the connection is closed then.
        """
        parser = self._connection._parser  # noqa: SLF001
        replies: list[Any] = []
        try:
            if not self._connection.is_connected:
                raise driver.ConnectionError("closed")
            gets = parser._reader.gets  # noqa: SLF001
            for _ in range(number):
                while (reply := gets()) is NOT_ENOUGH_DATA:
                    parser.read_from_socket()
                if isinstance(reply, driver.ConnectionError):
                    raise reply
                replies.append(reply)
        except BaseException as error:
            self.drop()
            if isinstance(error, driver.RedisError | OSError):
                raise mapped(error, command) from None
            raise
        return replies

    def ask(self, *arguments: Argument) -> Any:
        """The reply to one command, on a connection that is opened where needed."""
        self.open()
        self.send(packed(*arguments))
        return self.answer(str(arguments[0]))

    def look_up(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """The replies to some commands that only read, asked again where that may help."""
        wait = pauses()
        while True:
            try:
                return self.ask_all(*commands)
            except Restarted:
                raise
            except TargetUnavailable:
                if not wait.again():
                    raise

    def ask_all(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """The replies to some commands, sent at once."""
        self.open()
        self.send(b"".join([packed(*command) for command in commands]))
        return self.answers(len(commands), str(commands[0][0]))


@dataclass(frozen=True, slots=True)
class Question(Generic[Subject]):
    """Packed reading commands, how many replies they have, and what the asker knows them by."""

    commands: bytes
    replies: int
    subject: Subject


def answers(
    wire: Wire, questions: Iterable[Question[Subject]], ahead: int, command: str
) -> Iterator[tuple[Subject, list[Any]]]:
    """The replies to each question in turn, with some questions always under way.

    Questions only read, so what is unanswered when a connection breaks is asked again.

    Args:
        ahead: how many questions are under way at a time.
    """
    waiting: deque[Question[Subject]] = deque()
    source = iter(questions)
    wire.open()
    while True:
        while len(waiting) < ahead and (question := next(source, None)) is not None:
            waiting.append(question)
            _send_or_drop(wire, question)
        if not waiting:
            return
        yield waiting[0].subject, _answered(wire, waiting, command)
        waiting.popleft()


def _send_or_drop(wire: Wire, question: Question[Any]) -> None:
    try:
        wire.send(question.commands)
    except TargetUnavailable:
        wire.drop()


def _answered(wire: Wire, waiting: deque[Question[Any]], command: str) -> list[Any]:
    wait = pauses()
    while True:
        try:
            replies = wire.replies(waiting[0].replies, command)
            refuse_unavailable(replies, command)
            return replies
        except TargetUnavailable:
            if not wait.again():
                raise
        wire.drop()
        try:
            wire.open()
            for question in waiting:
                wire.send(question.commands)
        except Restarted:
            raise
        except TargetUnavailable:
            wire.drop()


def refuse_unavailable(replies: list[Any], command: str) -> None:
    """Does nothing, but where a reply says that Redis can't answer now.

    Raises:
        TargetUnavailable: it says so (LOADING, BUSY and their like).
    """
    for reply in replies:
        if isinstance(reply, driver.RedisError):
            meaning = mapped(reply, command)
            if isinstance(meaning, TargetUnavailable):
                raise meaning
