"""Commands as the bytes that Redis reads (RESP2), packed by hand where every microsecond counts."""

from __future__ import annotations

MULTI = b"*1\r\n$5\r\nMULTI\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"
UNWATCH = b"*1\r\n$7\r\nUNWATCH\r\n"

Argument = bytes | str | int


def packed(*arguments: Argument) -> bytes:
    """One command."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        text = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


def bulk(arguments: list[bytes]) -> bytes:
    """Arguments without a command's head."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments])


def watch_and_get(key: bytes) -> bytes:
    """WATCH and GET of the same key: two commands."""
    return packed("WATCH", key) + packed("GET", key)
