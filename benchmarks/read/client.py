"""The client: a process of its own that asks at fixed rates and notes how long answers take.

Requests are due at fixed times, whatever became of the ones before (an open loop), and the time of
an answer counts from when its request was due. So a server that stops for a while is charged with
all that would have been asked meanwhile, and not with the one request that hung.

It reads one job a line from standard input and answers each with a line.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pymongo.errors import PyMongoError

from benchmarks.read.questions import Asker, Sample, asker
from core.errors import PrefetchError

ANSWERED, WRONG, FAILED, UNANSWERED = range(4)
FAILURES = (PrefetchError, psycopg.Error, PyMongoError)

PATIENCE = 1.0
"""Seconds after the last request was due; what is not answered then counts as never answered."""

_PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class Job:
    """What to ask, how often, for how long.

    Attributes:
        rates: requests per second of each question; 0 for all: one after the other, at once.
        connections: how many requests may be on their way at once.
    """

    subject: str
    url: str
    config: str
    rates: Mapping[str, float]
    connections: int
    seconds: float
    notes: str

    @property
    def questions(self) -> list[str]:
        """In the order of their numbers in the notes."""
        return list(self.rates)


def main() -> None:
    """Does jobs until standard input ends.

    The garbage collector works between them: its look at all objects took 174 ms on a slow
    machine, which would be charged to the server.
    """
    gc.disable()
    sample = Sample.load(Path(sys.argv[1]))
    for line in sys.stdin:
        gc.collect()
        started = time.process_time()
        notes = carried_out(Job(**json.loads(line)), sample)
        print(json.dumps({"notes": notes, "cpu_s": time.process_time() - started}), flush=True)


def carried_out(job: Job, sample: Sample) -> str:
    """Asks, and saves the notes: number of the question, due, sent, done (ns), what came of it."""
    with ExitStack() as open_connections:
        askers = [
            open_connections.enter_context(asker(job.subject, job.url, job.config, sample))
            for _ in range(job.connections)
        ]
        for each in askers:
            for question in job.questions:
                each.ask(question, 0)  # opens the connection, prepares the statement
        np.save(job.notes, _asked(job, askers))
    return job.notes


def _asked(job: Job, askers: Sequence[Asker]) -> np.ndarray[Any, Any]:
    rate = sum(job.rates.values())
    start = time.monotonic_ns() + 20_000_000
    turns = _Turns(job, start, rate)
    noted: list[list[tuple[int, ...]]] = [[] for _ in askers]
    threads = [
        threading.Thread(target=_ask_in_turn, args=(turns, each, notes), daemon=True)
        for each, notes in zip(askers, noted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flat = list(itertools.chain.from_iterable(noted)) + list(turns.left())
    return np.array(flat, dtype=np.int64).reshape(-1, 5)


class _Turns:
    """Hands out requests in the order in which they are due; each to whoever is free first."""

    def __init__(self, job: Job, start: int, rate: float) -> None:
        self._start, self._names = start, job.questions
        self._interval = 1e9 / rate if rate else 0.0
        self._number = round(rate * job.seconds) if rate else sys.maxsize
        self.end = start + int((job.seconds + (PATIENCE if rate else 0.0)) * 1e9)
        self._cycle = _cycle(job.rates)
        self._next = itertools.count()
        self._dropped: list[int] = []

    def next(self) -> tuple[int, int, str, int] | None:
        """Number, number of the question, its name, and when it is due."""
        number = next(self._next)
        if number >= self._number:
            return None
        if time.monotonic_ns() >= self.end:
            self._dropped.append(number)
            return None
        question = self._cycle[number % len(self._cycle)]
        due = self._start + int(number * self._interval)
        return number, question, self._names[question], due

    def left(self) -> Iterator[tuple[int, ...]]:
        """Notes of the requests that nobody came to send."""
        if self._number == sys.maxsize:
            return
        for number in (*self._dropped, *range(next(self._next), self._number)):
            due = self._start + int(number * self._interval)
            question = self._cycle[number % len(self._cycle)]
            yield question, due, self.end, self.end, UNANSWERED


def _cycle(rates: Mapping[str, float]) -> list[int]:
    """The questions in proportion to their rates, evenly mixed."""
    least = min(rates.values())
    shares = [round(rate / least) if least else 1 for rate in rates.values()]
    places = [((n + 0.5) / share, q) for q, share in enumerate(shares) for n in range(share)]
    return [question for _, question in sorted(places)]


def _ask_in_turn(turns: _Turns, asker: Asker, notes: list[tuple[int, ...]]) -> None:
    # The kernel may wake a sleeper 50 µs late otherwise, which would be charged to the server.
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    while (turn := turns.next()) is not None:
        number, question, name, due = turn
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        sent = time.monotonic_ns()
        try:
            outcome = ANSWERED if asker.ask(name, number) else WRONG
        except FAILURES:
            outcome = FAILED
        notes.append((question, due, sent, time.monotonic_ns(), outcome))


if __name__ == "__main__":
    main()
