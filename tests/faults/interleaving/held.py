"""What the server holds of the one user: read, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import hiredis

from store.keys import Keys
from tests.faults.interleaving.channels import Command, exchange
from tests.faults.interleaving.rules import USER, Content

_HOUR_MS = b"3600000"


class Held:
    """The server's content, over a connection of its own."""

    def __init__(self, line: Any, keys: Keys) -> None:
        self.line, self.keys = line, keys

    def content(self) -> Content:
        """All of it."""
        keys = self.keys
        replies = self.ask(
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

    def restoring(self, content: Content, more: Iterable[Command]) -> Iterator[Command]:
        """Commands that make the server hold this and ``more``, whatever it holds."""
        keys, user = self.keys, USER.encode()
        profile, credential = keys.profile(USER), keys.credential(USER)
        yield (
            b"DEL",
            *(keys.fence(0), keys.alive(0), keys.floor(0), keys.epoch, keys.opening),
            *(keys.removed(0), profile, credential, keys.suppressed),
        )
        yield from more
        if content.fence is not None:
            yield (b"SET", keys.fence(0), content.fence)
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

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to commands, parsed."""
        reader = hiredis.Reader()
        reader.feed(exchange(self.line, list(commands)))
        replies = [reader.gets() for _ in commands]
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


def empty(counter: int) -> Content:
    """A Redis that holds nothing but the epoch counter."""
    return Content(None, None, 0, counter, None, -1, None, None, False, ())
