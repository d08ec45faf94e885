"""The sources fail, row by row of the table: each trial ends in the state and with the cause due."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.faults.campaign import Ground, Outcome
from tests.faults.source_rows.bench import Bench
from tests.faults.source_rows.databases import Servers
from tests.faults.source_rows.rows import ROWS, Row

NAME = "source_faults"
TITLE = "source faults of rows 43 to 63"
TRIALS = 4 * len(ROWS)


def run(trials: int, seed: int, ground: Ground, rows: Sequence[Row] = ROWS) -> Outcome:
    """Each row in turn; a row's trials differ by their seeds."""
    with Servers(ground) as servers:

        def work(numbers: Iterator[int]) -> Outcome:
            outcome = Outcome()
            with Bench(ground, servers) as bench:
                for number in numbers:
                    judge(rows[number % len(rows)], bench, seed + number, outcome)
            return outcome

        return ground.side_by_side(work, trials)


def judge(row: Row, bench: Bench, seed: int, outcome: Outcome) -> None:
    """Holds a trial, and takes in what came of it."""
    figures = {"trials": 1, "bitten": 0, "violations": 0}
    outcome.trials += 1
    try:
        wrong = row.trial(bench, random.Random(seed))
    except AssertionError as error:
        outcome.tell(f"{row.name}, seed {seed}: did not bite: {error}")
        bench.configure()
        bench.fill()
    else:
        outcome.bitten += 1
        figures["bitten"] = 1
        if wrong:
            figures["violations"] = 1
            outcome.violated(row.violation, f"{row.name}, seed {seed}: {'; '.join(wrong)}")
    row_of = f"row {row.number}"
    outcome.notes.setdefault(row_of, dict.fromkeys(figures, 0))
    for name, count in figures.items():
        outcome.notes[row_of][name] += count
