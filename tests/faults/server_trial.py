"""One trial: a run whose server is struck in its middle, what it says, and what Redis holds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import ExitStack

from tests.faults.banks import Bank, Result, Strike
from tests.faults.campaign import Outcome

MOVE = {"changed": 0.5, "joining": 0.03, "leaving": 0.03}
HANGS_S = 120.0
TIMES = 4
"""How often a run may be repeated once all is well: a fence may have to run out first."""

TWICE = 0.2
"""The share of trials in which it strikes again while the run repeats itself."""


def hold(
    bank: Bank,
    seed: int,
    size: int,
    outcome: Outcome,
    strike: Callable[[random.Random], None],
    leaves: Callable[[int], list[int]] = lambda old: [old, old + 1],
) -> None:
    """Holds a trial.

    Args:
        size: bytes of the requests of a usual run; it strikes at one of them.
        strike: what happens there, given the trial's chance.
        leaves: versions that a failed run may leave, from the one before it.
    """
    chance, place, old = random.Random(seed), f"seed {seed}", bank.universe.version
    bank.move(**MOVE)
    bank.reader.expect([old, old + 1])
    places = [chance.randrange(size)]
    if chance.random() < TWICE:
        places.append(places[0] + chance.randrange(size))
    with ExitStack() as unread:

        def action(times: int) -> None:
            if not times:
                unread.enter_context(bank.reader.outage())
            strike(chance)

        struck = Strike(bank.proxy, places, action)
        result = _run(bank, outcome, place)
        bank.proxy.on_request = lambda link, data: data
        outcome.trials += 1
        outcome.bitten += struck.struck > 0
        _note(outcome, result, struck.struck)
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
