"""The steps of a run as they go on, for whoever listens in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, float], None]
"""Gets a step's name and the share of its work that was just done, from any thread."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tells a listener of every step until the end."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def advance(step: str, share: float = 0.0) -> None:
    """Says that a step begins, or that a share of its work (0 to 1) is done."""
    for listener in _listeners:
        listener(step, share)
