"""One trial: a run whose server is struck in its middle, what it says, and what Redis holds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import ExitStack
from typing import Protocol

from tests.faults.banks import Bank, Result
from tests.faults.campaign import Outcome
from tests.faults.proxy import Link

MOVE = {"changed": 0.5, "joining": 0.03, "leaving": 0.03}
HANGS_S = 120.0
TIMES = 4
"""How often a run may be repeated once all is well: a fence may have to run out first."""

TWICE = 0.2
"""The share of trials in which it strikes again while the run repeats itself."""

Strike = Callable[[random.Random, int], bool]
"""Does it, given the trial's chance and how often it was done; whether the bytes still pass."""


class Striking(Protocol):
    """What strikes during a run: armed before it, and ended behind it."""

    def arm(self, chance: random.Random, begins: Callable[[], None]) -> None:
        """From now on it may strike; ``begins`` is called just before it does."""

    def end(self) -> int:
        """Makes all whole again; how often it struck."""


class AtBytes:
    """Strikes when so many bytes of requests have passed the proxy.

    Args:
        size: bytes of the requests of a usual run; the places are among them.
        places: how many; 0 is one, and now and then a second one behind the first.
    """

    def __init__(self, bank: Bank, size: int, strike: Strike, places: int = 0) -> None:
        self._bank, self._size, self._strike, self._number = bank, size, strike, places
        self._lock = threading.Lock()

    def arm(self, chance: random.Random, begins: Callable[[], None]) -> None:
        """See ``Striking``."""
        self._chance, self._begins, self._passed, self._struck = chance, begins, 0, 0
        self._places = sorted(chance.randrange(self._size) for _ in range(self._number or 1))
        if not self._number and chance.random() < TWICE:
            self._places.append(self._places[0] + chance.randrange(self._size))
        self._needed = self._number or 1
        self._bank.proxy.on_request = self._pass

    def end(self) -> int:
        """See ``Striking``."""
        self._bank.proxy.on_request = lambda link, data: data
        with self._lock:
            return self._struck if self._struck >= self._needed else 0

    def _pass(self, _link: Link, data: bytes) -> bytes | None:
        with self._lock:
            self._passed += len(data)
            if not self._places or self._passed < self._places[0]:
                return data
            self._places.pop(0)
            if not self._struck:
                self._begins()
            passes = self._strike(self._chance, self._struck)
            self._struck += 1
            return data if passes else None


def hold(
    bank: Bank,
    seed: int,
    outcome: Outcome,
    striking: Striking,
    leaves: Callable[[int], list[int]] = lambda old: [old, old + 1],
) -> None:
    """Holds a trial.

    Args:
        leaves: versions that a failed run may leave, from the one before it.
    """
    chance, place, old = random.Random(seed), f"seed {seed}", bank.universe.version
    bank.move(**MOVE)
    bank.reader.expect([old, old + 1])
    with ExitStack() as unread:
        striking.arm(chance, lambda: unread.enter_context(bank.reader.outage()))
        result = _run(bank, outcome, place)
        struck = striking.end()
        outcome.trials += 1
        outcome.bitten += struck > 0
        _note(outcome, result, struck)
        bank.judge.forget()
        if result.success:
            outcome.judged(bank.judge.exact(bank.world), place)
        else:
            outcome.judged(bank.judge.settled(leaves(old)), f"{place}, failed")
            bank.judge.forget()
            _again(bank, outcome, place)
    bank.reader.expect([old + 1])


def _again(bank: Bank, outcome: Outcome, place: str) -> None:
    """Once all is well, a run succeeds, and leaves what it should."""
    for _ in range(TIMES):
        result = _run(bank, outcome, f"{place}, again")
        if result.success:
            outcome.judged(bank.judge.exact(bank.world), f"{place}, again")
            return
        time.sleep(0.4)
    outcome.violated("lost", f"{place}: no success in {TIMES} repetitions: {result.error}")


def _run(bank: Bank, outcome: Outcome, place: str) -> Result:
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(bank.run).result(HANGS_S)
    except StillRunning:
        outcome.violated("hangs", f"{place}: {HANGS_S:.0f} s")
        raise
    except Exception as error:  # a crash instead of a clear error
        outcome.violated("hangs", f"{place}: {type(error).__name__}: {error}")
        return Result(False, [], type(error).__name__)
    finally:
        pool.shutdown(wait=False)


def _note(outcome: Outcome, result: Result, struck: int) -> None:
    kinds = {
        "success": result.success,
        "success after another load and check": result.success and bool(result.reasons),
        "refused, epoch lost": "is not known to be this run's" in result.error,
        "struck twice": struck > 1,
    }
    for name, is_so in kinds.items():
        outcome.notes[name] = outcome.notes.get(name, 0) + is_so
    if result.error:
        told = outcome.notes.setdefault("errors", {})
        kind = result.error.partition("epoch ")[0][:70]
        told[kind] = told.get(kind, 0) + 1
