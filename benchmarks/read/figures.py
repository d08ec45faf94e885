"""Notes of requests as figures: percentiles in milliseconds, rates, failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.read.client import ANSWERED, FAILED, UNANSWERED, WRONG
from benchmarks.read.clients import Asked, Clients, Notes

PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p99_9_ms": 99.9}
LIMIT_MS = 1.0
FIRST_RATE, STEP, TRIES = 250.0, 1.5, 2
KEPT_UP = 0.95
"""Share of the requests that must be answered for a rate to count as held."""

SWEEP = "sweep"
"""The state of what is asked over different numbers of connections, with nothing going on."""

Figures = dict[str, Any]
Span = tuple[int, int]


def rows(asked: Sequence[Asked], state: str, span: Span | None = None) -> Iterator[Figures]:
    """The figures of every question that these jobs asked, of one subject.

    Args:
        asked: jobs with the same connections; a question has the same rate in all of them.
        state: what went on meanwhile.
        span: only requests that were due in this time.
    """
    job = asked[0].job
    rates = {name: rate for each in asked for name, rate in each.job.rates.items()}
    for question, rate in rates.items():
        notes = np.concatenate([each.of(question) for each in asked if question in each.job.rates])
        if span is not None:
            notes = notes[(notes[:, 1] >= span[0]) & (notes[:, 1] < span[1])]
        yield {
            "subject": job.subject,
            "question": question,
            "state": state,
            "connections": job.connections,
            "rate": rate,
            **figures_of(notes),
        }


def by_turn(asked: Sequence[Asked], state: str, span: Span) -> Iterator[Figures]:
    """The figures of ``rows``, and in how many jobs the p99 by itself stayed below a millisecond.

    One stop of the machine decides the p99 of all jobs together: this tells what was between.

    Args:
        asked: jobs with the same rates, each a turn.
        state: what went on meanwhile.
        span: only requests that were due in this time, and only turns that were so as a whole.

    Yields:
        Figures as of ``rows``, with ``turns``, ``turns_held`` and the median turn's ``turn_p99_ms``
        (None where there was no turn).
    """
    for row in rows(asked, state, span):
        notes = [each.of(row["question"]) for each in asked]
        whole = [n for n in notes if span[0] <= n[:, 1].min() and n[:, 1].max() < span[1]]
        turns = [figures_of(each) for each in whole]
        yield {
            **row,
            "turns": len(turns),
            "turns_held": sum(map(_held, turns)),
            "turn_p99_ms": round(median(t["p99_ms"] for t in turns), 3) if turns else None,
        }


def figures_of(notes: Notes) -> Figures:
    """Percentiles from due to done and from sent to done, how late it was sent, and outcomes."""
    if not len(notes):
        return {"requests": 0}
    due, sent, done, outcome = notes[:, 1], notes[:, 2], notes[:, 3], notes[:, 4]
    seconds = max((done.max() - due.min()) / 1e9, 1e-9)
    return {
        "requests": len(notes),
        "answered_per_s": round(float((outcome == ANSWERED).sum() / seconds), 1),
        **_percentiles(done - due),
        "sent_to_done": _percentiles(done - sent),
        "sent_late_p99_ms": _percentiles(sent - due)["p99_ms"],
        "wrong": int((outcome == WRONG).sum()),
        "failed": int((outcome == FAILED).sum()),
        "unanswered": int((outcome == UNANSWERED).sum()),
    }


def holding(by_rate: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """By state and question, the highest of the rates asked whose p99 stayed below a millisecond.

    Only where all were answered; 0 where none did.
    """
    found: dict[str, dict[str, float]] = {}
    for row in by_rate:
        if row["requests"]:
            of_state = found.setdefault(row["state"], {})
            held = row["rate"] if _held(row) else 0.0
            of_state[row["question"]] = max(of_state.get(row["question"], 0.0), held)
    return found


def _held(row: Figures) -> bool:
    all_answered = not (row["unanswered"] or row["failed"])
    return bool(all_answered and row["p99_ms"] < LIMIT_MS)


def _percentiles(nanoseconds: Notes) -> dict[str, float]:
    found = np.percentile(nanoseconds / 1e6, list(PERCENTILES.values()), method="higher")
    return {name: round(float(value), 3) for name, value in zip(PERCENTILES, found, strict=True)}


@dataclass(frozen=True)
class Asking:
    """One question to one subject, at changing rates."""

    client: Clients
    subject: str
    question: str
    connections: int
    seconds: float

    def highest_rate(self, steps: int) -> float:
        """The highest rate whose p99 stays below a millisecond; 0 for none.

        Each rate is half as much again as the last, until one is not kept up. A lower one may fail
        where a higher one holds: a core that sleeps between two requests answers later. Of two
        tries the better one counts: on a machine with other work one stop of a few milliseconds
        would decide.
        """
        highest = 0.0
        for rate in (FIRST_RATE * STEP**step for step in range(steps)):
            kept_up = False
            for _ in range(TRIES):
                found = figures_of(self._ask(rate))
                kept_up |= found["answered_per_s"] >= KEPT_UP * rate
                if kept_up and found["p99_ms"] < LIMIT_MS:
                    highest = rate
                    break
            if not kept_up:
                break
        return round(highest)

    def throughput(self) -> float:
        """Answers per second where each connection asks as soon as it has its answer."""
        asked = self._ask(0.0)
        answered: float = round(len(asked) / ((asked[:, 3].max() - asked[:, 2].min()) / 1e9))
        return answered

    def _ask(self, rate: float) -> Notes:
        job = self.client.ask(self.subject, {self.question: rate}, self.connections, self.seconds)
        return job.of(self.question)
