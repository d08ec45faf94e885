"""``make faults``: runs the campaigns, prints the table, keeps the figures in faults.json."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path
from typing import Any

import flows  # noqa: F401  (with it, Ctrl-C is heard while trials are waited for)
from tests.faults import campaigns
from tests.faults.campaign import Ground, ground
from tests.faults.reader import Figures
from tests.faults.table import READER, entry_of, kept, lines, reader_of

OUT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "faults.json"


def names() -> list[str]:
    """Every campaign: a campaign's module is called what it calls itself."""
    return sorted(module.name for module in pkgutil.iter_modules(campaigns.__path__))


def campaign_of(name: str) -> Any:
    """The module of a campaign."""
    return importlib.import_module(f"{campaigns.__name__}.{name}")


def main() -> int:
    options = _options()
    wanted = options.tests.split(",") if options.tests else names()
    if unknown := sorted(set(wanted) - set(names())):
        raise SystemExit(f"no such test: {', '.join(unknown)}; there are {', '.join(names())}")
    with ground(options.workers) as here:
        for name in wanted:
            _hold(campaign_of(name), here, options)
    with kept(options.out) as entries:
        told = {name: entries[name] for name in (*wanted, READER)}
    sys.stdout.write("\n".join([*lines(told), ""]))
    return 0 if all(entry["passed"] for entry in told.values()) else 1


def _hold(module: Any, here: Ground, options: argparse.Namespace) -> None:
    trials = options.trials or module.TRIALS
    sys.stderr.write(f"{module.NAME}: {trials} trials, seed {options.seed}\n")
    here.reader = Figures()
    started = time.monotonic()
    here.until = started + options.seconds if options.seconds else None
    outcome = module.run(trials, options.seed, here)
    seconds = time.monotonic() - started
    with kept(options.out) as entries:
        before = entries.get(module.NAME) if options.add else None
        entries[module.NAME] = entry_of(
            module.TITLE, outcome, here.reader, options.seed, seconds, before
        )
        entries[READER] = reader_of(entries)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--tests", help="names, with commas; default: all")
    parser.add_argument("--trials", type=int, help="of each test; default: each one's own")
    parser.add_argument("--seed", type=int, default=1, help="of the first trial")
    parser.add_argument("--seconds", type=float, help="begin no trial after so many, of each test")
    parser.add_argument("--workers", type=int, default=2, help="trials side by side")
    parser.add_argument("--add", action="store_true", help="to the trials that the file has")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
