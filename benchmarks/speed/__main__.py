"""`python -m benchmarks.speed`, which is `make bench`."""

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

from benchmarks import measured_by
from benchmarks.read.server_side import cores_busy, machine
from benchmarks.speed.environments import REQUIREMENTS
from benchmarks.speed.ground import ground
from benchmarks.speed.peers import PEERS, peer_of
from benchmarks.speed.play import PARTS, Plan, Play, WrongError
from benchmarks.speed.prefect_cost import Server
from benchmarks.speed.ratios import headline, memory_of, ratios_of
from benchmarks.speed.table import table
from devstack import PrefectServer

_STARTED = time.monotonic()
RESULTS = Path(__file__).parents[1] / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the table and writes the JSON; 1 where a run did not do what it had to."""
    options = parser().parse_args(arguments)
    before = {"load_average": os.getloadavg()[0], "cores_busy": cores_busy()}
    try:
        sizes = _measured(options)
    except WrongError as error:
        _say(str(error))
        return 1
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": measured_by("benchmarks.speed", arguments or sys.argv[1:]),
        "seconds": round(time.monotonic() - _STARTED),
        "machine": machine(),
        "before": before,
        "peers": {name: REQUIREMENTS[name] for name in PEERS if name in REQUIREMENTS},
        **summary(sizes),
        "sizes": sizes,
    }
    print(table(sizes))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _say(f"written: {options.out}")
    return 0


def summary(sizes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The ratios, by number of users with their spread, and the memory."""
    return {
        "ratios": headline(sizes),
        "ratios_by_users": {
            str(size["users"]): {name: asdict(ratio) for name, ratio in ratios_of(size).items()}
            for size in sizes
        },
        "memory_mb": {str(size["users"]): memory_of(size) for size in sizes},
    }


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    made.add_argument(
        "--users", type=numbers, default=[100_000, 200_000], help="(100000,200000)", metavar="N,N"
    )
    made.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    made.add_argument("--peer-repeats", type=int, default=2, help="rounds with peers (%(default)s)")
    made.add_argument(
        "--fewer-cores",
        type=numbers,
        default=[],
        help="shows the full run with so many cores for all, servers too, beside that with all",
        metavar="N,N",
    )
    choice = made.add_mutually_exclusive_group()
    choice.add_argument("--only", type=parts, help=f"of {', '.join(PARTS)}", metavar="PART,PART")
    choice.add_argument("--without", type=parts, default=frozenset(), help="likewise, left out")
    made.add_argument(
        "--out", type=Path, default=RESULTS, help="the JSON file (benchmarks/results/latest.json)"
    )
    return made


def numbers(text: str) -> list[int]:
    """Whole numbers, smallest first.

    Raises:
        ArgumentTypeError: they are none.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError(f"whole numbers from 1 on are wanted, as in 1,2: {text}")
    return found


def parts(text: str) -> frozenset[str]:
    """Names of what is measured.

    Raises:
        ArgumentTypeError: there is no such part.
    """
    found = frozenset(text.split(","))
    unknown = sorted(found - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {unknown[0]}; there are {PARTS}")
    return found


def _measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    chosen = (options.only or frozenset(PARTS)) - options.without
    peers = {}
    for name in PEERS:
        if name in chosen:
            _say(f"making ready: {name}")
            peers[name] = peer_of(name)
    sizes = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        PrefectServer(Path(folder) / "prefect").start() as server,
    ):
        prefect = Server(server.url, server.pid)
        for place, users in enumerate(options.users):
            # Peers take many times as long: they show their rates with the fewest users.
            here_too = peers if place == 0 else {}
            rounds = (options.repeats, options.peer_repeats)
            plan = Plan(chosen, *rounds, options.fewer_cores, here_too)
            _say(f"making {users:,} users")
            with ground(users, Path(folder) / str(users), prefect) as here:
                sizes.append(Play(here, plan, _say).show())
    return sizes


def _say(text: str) -> None:
    print(f"bench: {time.monotonic() - _STARTED:5.0f} s: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
