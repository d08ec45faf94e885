"""`python -m benchmarks.read`, which is `make bench-read`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from pymongo import MongoClient

from benchmarks import measured_by
from benchmarks.read.figures import holding
from benchmarks.read.ground import Ground, ground
from benchmarks.read.plan import LOADS, Plan
from benchmarks.read.play import Play, wrong_answers
from benchmarks.read.results import p99_of, tables
from benchmarks.read.server_side import cores_busy, machine
from store.client import client_of

_STARTED = time.monotonic()
RESULTS = Path(__file__).parents[1] / "results" / "read.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints tables and writes JSON; 1 where an answer was wrong."""
    options = _parser().parse_args(arguments)
    plan = Plan(rate=options.rate, seconds=options.seconds, loads=LOADS[: options.loads])
    results = bench(options.users, plan)
    results["command"] = measured_by("benchmarks.read", arguments or sys.argv[1:])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(tables(results))
    _say(f"written: {options.out}")
    wrong = wrong_answers(results)
    if wrong:
        _say(f"{wrong} answers were not the ones expected")
    return 1 if wrong else 0


def bench(users: int, plan: Plan, prefect_url: str | None = None) -> dict[str, Any]:
    """Measures on a bank of so many customers; all that is known of it.

    Args:
        prefect_url: a Prefect server to take instead of one of its own.
    """
    started = time.monotonic()
    load, others = os.getloadavg()[0], cores_busy()
    with (
        tempfile.TemporaryDirectory() as folder,
        ground(users, Path(folder), _say, prefect_url) as here,
    ):
        found = Play(here, plan, _say).show()
        servers = _versions(here)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "customers": users,
        "profiles": found["memory"]["profiles"],
        "seconds": round(time.monotonic() - started),
        "machine": machine(),
        "before": {"load_average": load, "cores_busy": others},
        "servers": servers,
        "plan": asdict(plan),
        "p99_ms": p99_of(found["measured"]),
        "holds_1_ms_loading": holding(found["by_rate"]),
        **found,
    }


def _versions(here: Ground) -> dict[str, Any]:
    urls = here.stack.urls
    with client_of(urls["redis"]) as redis, psycopg.connect(urls["postgres"]) as postgres:
        mongo: MongoClient[dict[str, Any]] = MongoClient(urls["mongodb"])
        with mongo:
            return {
                "redis": redis.info("server")["redis_version"],
                "postgresql": postgres.info.parameter_status("server_version"),
                "mongodb": mongo.server_info()["version"],
            }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read", description=__doc__)
    parser.add_argument("--users", type=int, default=200_000, help="default: %(default)s")
    parser.add_argument(
        "--rate", type=float, default=300.0, help="of each look-up, per second (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="of an idle measurement (%(default)s)"
    )
    parser.add_argument(
        "--loads", type=int, default=len(LOADS), help="so many of the loads (default: all)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: %(default)s")
    return parser


def _say(text: str) -> None:
    print(f"bench-read: {time.monotonic() - _STARTED:5.0f} s: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
