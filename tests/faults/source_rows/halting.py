"""Runs that stop at a place, for a fault to take place there, and go on when they are told to.

The run touches ``reached-N`` in a folder, and waits for ``go-N``.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from flows import extraction, opening

GIVE_UP_S = 60.0


def halt(place: str, folder: str, most: int) -> None:
    """Has this process stop, the first ``most`` times.

    Args:
        place: ``open``: all snapshots are open, and nothing was read; ``in DATASET``: its first
            rows have arrived.
    """
    numbers, where, armed = itertools.count(1), Path(folder), set[str]()
    kind, _, name = place.partition(" ")
    open_snapshots, extract_dataset = opening.open_snapshots, extraction._extract_dataset
    normalise = extraction.normalise

    def stop() -> None:
        number = next(numbers)
        if number > most:
            return
        (where / f"reached-{number}").touch()
        until = time.monotonic() + GIVE_UP_S
        while not (where / f"go-{number}").exists() and time.monotonic() < until:
            time.sleep(0.003)

    def opened(*given: Any, **more: Any) -> Any:
        made = open_snapshots(*given, **more)
        if kind == "open":
            stop()
        return made

    def arming(run: Any, entry: Any, connector: Any) -> Any:
        armed.add(entry.name)
        return extract_dataset(run, entry, connector)

    def arriving(frame: Any, plan: Any, hook: Any) -> Any:
        if kind == "in" and plan.name == name and name in armed:
            armed.discard(name)
            stop()
        return normalise(frame, plan, hook)

    opening.open_snapshots, extraction._extract_dataset = opened, arming
    extraction.normalise = arriving
