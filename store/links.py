"""Connections for reading: what holds a conversation, in threads and in an event loop.

A connection goes back to the others only when all its replies have been read. So a reply can
never be taken for that of another question, whatever was cut off or cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Generic

import redis.exceptions as driver

from core.errors import TargetUnavailable
from store.client import Timeouts, async_pool_of, pool_of
from store.conversation import Ask, Conversation, T
from store.driver_errors import driver_errors
from store.resp import Argument, packed

CONNECTIONS = 16
TIMEOUTS = Timeouts(connect_s=1.0, answer_s=1.0)

Commands = Sequence[tuple[Argument, ...]]


class Link:
    """Connections to one Redis with one user; safe for threads."""

    def __init__(
        self, url: str, timeouts: Timeouts = TIMEOUTS, connections: int = CONNECTIONS
    ) -> None:
        self._pool = pool_of(url, timeouts)
        self._idle: list[Any] = []
        self._free = threading.BoundedSemaphore(connections)
        self._wait_s = timeouts.answer_s

    def ask(self, commands: Commands) -> list[Any]:
        """The replies; an ordinary error reply is a value.

        Raises:
            TargetUnavailable: no connection, or no answer in time.
            TargetDenied: Redis does not let this user in.
        """
        text, name = _text(commands), str(commands[0][0])
        if not self._free.acquire(timeout=self._wait_s):
            raise _all_busy()
        try:
            with driver_errors(name):
                while self._idle:
                    try:
                        return self._asked(self._idle.pop(), text, len(commands))
                    except IndexError:
                        break  # another thread was faster
                    except driver.ConnectionError:
                        continue  # it was idle, and Redis may have closed it
                return self._asked(self._new(), text, len(commands))
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().disconnect()

    def _new(self) -> Any:
        connection = self._pool.make_connection()
        try:
            connection.connect()  # sending would do it, too, but without asking Sentinel
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _asked(self, connection: Any, text: bytes, number: int) -> list[Any]:
        try:
            connection.send_packed_command([text], check_health=False)
            replies = [self._reply(connection) for _ in range(number)]
        except BaseException:
            connection.disconnect()
            raise
        self._idle.append(connection)
        return replies

    def _reply(self, connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True)
        except driver.ResponseError as error:
            return error


class AsyncLink:
    """Likewise for one event loop."""

    def __init__(
        self, url: str, timeouts: Timeouts = TIMEOUTS, connections: int = CONNECTIONS
    ) -> None:
        self._pool = async_pool_of(url, timeouts)
        self._idle: list[Any] = []
        self._free = asyncio.BoundedSemaphore(connections)
        self._wait_s = timeouts.answer_s

    async def ask(self, commands: Commands) -> list[Any]:
        """As ``Link.ask``."""
        text, name = _text(commands), str(commands[0][0])
        try:
            await asyncio.wait_for(self._free.acquire(), self._wait_s)
        except TimeoutError:
            raise _all_busy() from None
        try:
            with driver_errors(name):
                while self._idle:
                    try:
                        return await self._asked(self._idle.pop(), text, len(commands))
                    except driver.ConnectionError:
                        continue  # it was idle, and Redis may have closed it
                return await self._asked(await self._new(), text, len(commands))
        finally:
            self._free.release()

    async def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            await self._idle.pop().disconnect()

    async def _new(self) -> Any:
        connection = self._pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _asked(self, connection: Any, text: bytes, number: int) -> list[Any]:
        try:
            await connection.send_packed_command([text], check_health=False)
            replies = [await self._reply(connection) for _ in range(number)]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return replies

    async def _reply(self, connection: Any) -> Any:
        try:
            return await connection.read_response(disable_decoding=True)
        except driver.ResponseError as error:
            return error


def carried_out(conversation: Conversation[T], links: Mapping[bool, Link]) -> T:
    """What a conversation comes to.

    Args:
        links: where plain (False) and secret (True) questions go.

    Raises:
        PrefetchError: Redis can't be read, or the conversation ends so.
    """
    try:
        step = next(conversation)
        while True:
            if isinstance(step, Ask):
                step = conversation.send(links[step.secret].ask(step.commands))
            else:
                step = conversation.send(step.function())
    except StopIteration as ended:
        result: T = ended.value
        return result


async def awaited(conversation: Conversation[T], links: Mapping[bool, AsyncLink]) -> T:
    """As ``carried_out``; ``Work`` is done in a thread."""
    try:
        step = next(conversation)
        while True:
            if isinstance(step, Ask):
                step = conversation.send(await links[step.secret].ask(step.commands))
            else:
                step = conversation.send(await asyncio.to_thread(step.function))
    except StopIteration as ended:
        result: T = ended.value
        return result


class Pending(Generic[T]):
    """An answer to be awaited; where that is forgotten it is an error, and never a yes."""

    def __init__(self, conversation: Conversation[T], links: Mapping[bool, AsyncLink]) -> None:
        self._conversation, self._links = conversation, links

    def __await__(self) -> Generator[Any, Any, T]:
        return awaited(self._conversation, self._links).__await__()

    def __bool__(self) -> bool:
        raise TypeError("await it before asking whether it is true")


def _text(commands: Commands) -> bytes:
    return b"".join([packed(*command) for command in commands])


def _all_busy() -> TargetUnavailable:
    return TargetUnavailable("all connections are busy: allow more, or ask less at once")
