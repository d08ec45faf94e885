"""Slows down who guesses passwords. Here in memory; several processes count in a shared store."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from math import ceil

MOST_KEYS = 10_000


class Tries:
    """Counts tries by a key, such as an e-mail address, whether or not somebody has it.

    Args:
        most: so many within the time are let through.
        within_s: how long a try counts.
    """

    def __init__(
        self, most: int, within_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._within_s, self._now = most, within_s, now
        self._made: dict[str, deque[float]] = {}

    def begin(self, key: str) -> int | None:
        """Counts a try, before it is known how it ends; seconds to wait where it is one too many.

        Counted at the beginning, so that many at the same time don't slip through.
        """
        now = self._now()
        made = self._made.pop(key, deque())
        while made and made[0] <= now - self._within_s:
            made.popleft()
        self._made[key] = made
        if len(self._made) > MOST_KEYS:
            del self._made[next(iter(self._made))]  # whose last try is the longest ago
        if len(made) >= self._most:
            return ceil(made[0] + self._within_s - now)
        made.append(now)
        return None

    def take_back(self, key: str) -> None:
        """The last try was none."""
        if self._made.get(key):
            self._made[key].pop()

    def forget(self, key: str) -> None:
        """Starts to count anew."""
        self._made.pop(key, None)
