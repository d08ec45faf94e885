"""Bugs planted into the product, each of which the checker must catch; see ``tests.faults.planted``."""

from __future__ import annotations

from tests.faults.campaign import Ground, Outcome
from tests.faults.planted.bugs import BUGS
from tests.faults.planted.catching import all_caught

NAME = "planted_bugs"
TITLE = "planted bugs, each caught"
TRIALS = len(BUGS)


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """Plants bugs from the ``seed``-th on; ``uncaught`` ones and false alarms are violations."""
    names = list(BUGS)[seed - 1 : seed - 1 + trials]
    outcome = Outcome(notes={"checks without a bug": 0, "caught": []})
    for caught in all_caught(ground, names):
        if caught.bug is None:
            outcome.notes["checks without a bug"] += 1
            if caught.found:
                outcome.violated("false_alarm", f"{caught.check}: {caught.found[0]}")
            continue
        outcome.trials += 1
        outcome.bitten += 1
        if caught.found:
            outcome.notes["caught"].append(caught.bug.name)
        else:
            outcome.violated("uncaught", f"{caught.bug.name} by {caught.check}")
    return outcome
