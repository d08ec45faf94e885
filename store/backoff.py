"""Waiting between tries: longer each time, and never all at the same moment."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

TRIES = 5
FIRST_S = 0.05
LONGEST_S = 2.0


@dataclass
class Pauses:
    """A bounded number of pauses, each up to twice as long as the one before."""

    tries: int
    taken: int = 0

    def again(self) -> bool:
        """Waits, then says True; says False at once where all tries are used up."""
        if self.taken >= self.tries:
            return False
        longest = min(LONGEST_S, FIRST_S * 2**self.taken)
        self.taken += 1
        time.sleep(random.uniform(longest / 2, longest))
        return True


def pauses(tries: int = TRIES) -> Pauses:
    """The pauses between one try and at most ``tries`` more."""
    return Pauses(tries)
