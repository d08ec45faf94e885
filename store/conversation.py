"""Conversations with Redis as plain generators, so that sync and asyncio share all logic.

A conversation yields an ``Ask`` and is sent the replies, an ordinary error reply being a value;
or it yields a ``Work`` and is sent what that returned. Its own return value is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis.exceptions as driver

from store.driver_errors import mapped
from store.resp import Argument

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Ask:
    """Commands that only read, sent at once; ``secret`` ones as the user who may see hashes."""

    commands: Sequence[tuple[Argument, ...]]
    secret: bool = False


@dataclass(frozen=True, repr=False)
class Work:
    """Something that takes long and must not stop an event loop."""

    function: Callable[[], Any]


Conversation = Generator[Ask | Work, Any, T]


def unwrapped(reply: Any, command: str) -> Any:
    """The reply, where it is no error.

    Raises:
        TargetError: what the error reply means.
    """
    if isinstance(reply, driver.RedisError):
        raise mapped(reply, command)
    return reply
