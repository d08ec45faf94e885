"""What a source sends piece by piece, in chunks of about one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Message = bytes | bytearray | memoryview


def chunks(messages: Iterable[Message], chunk_bytes: int) -> Iterator[list[Message]]:
    """The messages, each of which holds whole rows, in lists of about ``chunk_bytes``."""
    rows: list[Message] = []
    size = 0
    for message in messages:
        rows.append(message)
        size += len(message)
        if size >= chunk_bytes:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
