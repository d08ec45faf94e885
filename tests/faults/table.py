"""The table of ``make faults``, and the file with the same figures."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.campaign import Outcome
from tests.faults.judge import Verdict
from tests.faults.reader import Figures

Entry = dict[str, Any]
READER = "reader"
READER_TITLE = "reader during all this (users read)"


def entry_of(
    title: str,
    outcome: Outcome,
    reader: Figures,
    seed: int,
    seconds: float,
    before: Entry | None = None,
) -> Entry:
    """A test's entry in faults.json.

    ``bound`` is 3/n, n being the trials in which the fault bit; ``reader`` is what the continuous
    reader saw meanwhile.

    Args:
        before: an entry with other trials, to add to.
    """
    seeds = [seed]
    if before is not None:
        if seed in before["seeds"]:
            raise SystemExit(f"seed {seed} is in the file already: take another one")
        old = Outcome(before["trials"], before["bitten"], Counter(before["by_class"]))
        old.examples, old.notes = list(before["examples"]), dict(before["notes"])
        old.failures = list(before["own_failures"])
        old += outcome
        outcome, seeds, seconds = old, [*before["seeds"], seed], seconds + before["seconds"]
        seen = before["reader"]
        reader += Figures(
            seen["reads"], seen["seconds"], seen["outages"], Verdict(Counter(seen["by_class"]))
        )
    return {
        "title": title,
        "trials": outcome.trials,
        "bitten": outcome.bitten,
        "violations": outcome.violations.total(),
        "by_class": dict(sorted(outcome.violations.items())),
        "bound": outcome.bound,
        "passed": not outcome.reasons,
        "failures": outcome.reasons,
        "own_failures": outcome.failures,
        "examples": outcome.examples,
        "seeds": seeds,
        "seconds": round(seconds, 1),
        "notes": outcome.notes,
        "reader": {
            "reads": reader.reads,
            "seconds": round(reader.seconds, 1),
            "outages": reader.outages,
            "by_class": dict(sorted(reader.verdict.violations.items())),
            "examples": reader.verdict.examples,
        },
    }


def reader_of(entries: Mapping[str, Entry]) -> Entry:
    """The reader's row: what it saw in all tests. A trial is a user that was read."""
    seen, seeds = Figures(), []
    for name, entry in entries.items():
        mine = entry.get("reader")
        if name != READER and mine and mine["reads"]:
            verdict = Verdict(Counter(mine["by_class"]), mine["examples"])
            seen += Figures(mine["reads"], mine["seconds"], mine["outages"], verdict)
            seeds.append(name)
    outcome = Outcome(seen.reads, seen.reads)
    outcome.judged(seen.verdict)
    each = seen.reads / seen.seconds if seen.seconds else 0.0
    outcome.notes = {"during": ", ".join(seeds), "users read a second": f"{each:,.0f}"}
    if each < 1000:
        outcome.failures.append("fewer than 1,000 users were read a second")
    entry = entry_of(READER_TITLE, outcome, Figures(), 0, seen.seconds)
    return {**entry, "seeds": []}


@contextmanager
def kept(file: Path) -> Iterator[dict[str, Entry]]:
    """The entries of a file; what is changed within is written, other tests' entries stay."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.parent.joinpath(".faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        yield entries
        text = json.dumps(dict(sorted(entries.items())), indent=1, ensure_ascii=False)
        new = file.with_suffix(".new")
        new.write_text(text + "\n", encoding="utf-8")
        os.replace(new, file)


def lines(entries: Mapping[str, Entry]) -> Iterator[str]:
    """The table, a line a test; below it strings among its notes, and what failed."""
    width = max((len(entry["title"]) for entry in entries.values()), default=4)
    yield f"{'test':{width}}  {'trials':>10} {'bit':>7} {'violations':>10} {'bound':>9}"
    for entry in entries.values():
        bit = f"{entry['bitten'] / entry['trials']:.1%}" if entry["trials"] else "-"
        bound = "-" if entry["bound"] is None else f"< {entry['bound']:.1g}"
        yield (
            f"{entry['title']:{width}}  {entry['trials']:>10,} {bit:>7} "
            f"{entry['violations']:>10} {bound:>9}  {'' if entry['passed'] else 'FAILED'}"
        ).rstrip()
        for name, value in entry["notes"].items():
            if isinstance(value, str):
                yield f"    {name}: {value}"
        for text in (*entry["failures"], *entry["examples"]):
            yield f"    ! {text}"
