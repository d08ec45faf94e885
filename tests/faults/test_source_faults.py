"""One trial of each source fault that no other test shows; ``make faults`` holds all of them."""

from __future__ import annotations

import sys

from tests.faults.campaign import Ground
from tests.faults.campaigns import source_faults
from tests.faults.source_rows.rows import ROWS, SHORT

SEED = 43_000


def test_a_trial_of_each(ground: Ground) -> None:
    rows = [row for row in ROWS if row.trial.__name__ in SHORT]
    assert len(rows) == len(SHORT)
    sys.stderr.write(f"{source_faults.NAME}: seeds {SEED} to {SEED + len(rows) - 1}\n")
    outcome = source_faults.run(len(rows), SEED, ground, rows)
    assert outcome.trials == len(rows)
    assert outcome.reasons == [], outcome.examples
