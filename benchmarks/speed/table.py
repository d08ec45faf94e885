"""The figures as one table for people: ratios first, what they were made of beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.speed.peers import PEERS
from benchmarks.speed.ratios import (
    Spread,
    growth,
    memory_of,
    prefect_s,
    rate,
    ratios_of,
    run_rate,
    seconds_of,
    time_vs_full,
)

Found = Mapping[str, Any]
Row = tuple[str, ...]

HEADS: Row = ("users", "what", "ratio", "from – to", "goal", "absolute", "from – to")
GOALS = {
    "load_vs_limit": "≥ 0.85",
    "run_vs_limit": "≥ 0.5",
    "run_vs_script": "≥ 8",
    "run_vs_feast": "≥ 4",
    "run_vs_dlt": "≥ 4",
    "changed_5pct_vs_full": "≤ 0.5",
    "prefect_share": "≤ 0.03",
}
MEMORY_GOAL, GROWTH_GOAL = "≤ 600 MB", "0.9 – 1.1"
_PEERS = {"script": "a script by hand", "feast": "Feast, flat rows", "dlt": "dlt, flat rows"}


def table(sizes: Sequence[Found]) -> str:
    """All of it, in Markdown."""
    rows = [HEADS, tuple("---" for _ in HEADS)]
    for size in sizes:
        rows += [(f"{size['users']:,}", *row) for row in _rows(size, sizes[0])]
    grown = growth(sizes)
    if grown is not None:
        what = "time per profile, 1,000,000 against 100,000"
        rows.append(("", what, f"{grown:.2f}", "", GROWTH_GOAL, "", ""))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _rows(size: Found, first: Found) -> Iterator[Row]:
    yield from _against(size)
    if any("full" in each for each in size["rounds"]):
        yield from _on_fewer_cores(size)
        yield from _other_runs(size)
        memory = memory_of(size)
        times = f"{memory / memory_of(first):.2f} × {first['users']:,}"
        yield ("peak memory, all processes", times, "", MEMORY_GOAL, f"{memory:,} MB", "")
        yield from _steps(size)


def _against(size: Found) -> Iterator[Row]:
    users = size["users"]
    limit = _figures(size, ("limit",), lambda each: rate(each["limit"]))
    if limit is not None:
        yield ("the limit: redis-cli --pipe", "1", "", "", *_absolute(limit, "documents/s"))
    load = _figures(size, ("full",), lambda each: users / each["full"]["steps"]["load"])
    yield from _ratio(size, "load_vs_limit", "load step by the limit", load, "profiles/s")
    what = "CPU of Redis in the load step by that at the limit"
    busy = _figures(size, ("full",), _redis_busy)
    yield from _ratio(size, "redis_cpu_load_vs_limit", what, busy, "cores")
    whole = _figures(size, ("full",), lambda each: run_rate(each, users))
    yield from _ratio(size, "run_vs_limit", "whole run by the limit", whole, "profiles/s")
    for peer in PEERS:
        theirs = _figures(size, (peer,), partial(_peers_rate, peer))
        yield from _ratio(size, f"run_vs_{peer}", f"whole run by {_PEERS[peer]}", theirs, "/s")


def _redis_busy(found: Found) -> float:
    return float(found["full"]["redis_cpu_by_step"]["load"] / found["full"]["steps"]["load"])


def _peers_rate(peer: str, found: Found) -> float:
    return rate(found[peer])


def _on_fewer_cores(size: Found) -> Iterator[Row]:
    for cores in size["cores"][:-1]:
        part = f"machine_of_{cores}"
        both = [each for each in size["rounds"] if part in each]
        ratio = Spread.of([time_vs_full(part)(each, size["users"]) for each in both])
        what = f"time with {cores} of {size['cores'][-1]} cores for all, by the full run"
        absolute = _absolute(seconds_of(size, part), "s")
        yield (what, _short(ratio.median), _span(ratio), "", *absolute)


def _other_runs(size: Found) -> Iterator[Row]:
    for part, name, what in (
        ("unchanged", "unchanged_vs_full", "time with nothing changed by the full run"),
        ("changed", "changed_5pct_vs_full", "time with 5 % changed by the full run"),
    ):
        yield from _ratio(size, name, what, seconds_of(size, part), "s")
    prefect = _figures(size, ("full", "empty_flow"), prefect_s)
    yield from _ratio(size, "prefect_share", "Prefect's share of the full run", prefect, "s")
    start = _figures(size, ("full",), lambda each: _start_s(each["full"]))
    if start is not None:
        what = "start of Python and Prefect, beside it"
        yield (what, "", "", "", *_absolute(start, "s"))


def _steps(size: Found) -> Iterator[Row]:
    runs = [each["full"] for each in size["rounds"] if "full" in each]
    micro = 1e6 / size["users"]
    for step in runs[0]["steps"]:
        shares = Spread.of([run["steps"][step] / run["seconds"] for run in runs])
        wall = Spread.of([run["steps"][step] * micro for run in runs])
        cpu = Spread.of([run["cpu_by_step"][step] * micro for run in runs])
        absolute = f"{_short(wall.median)} µs, CPU {_short(cpu.median)} µs a profile"
        span = f"{_span(wall)}, CPU {_span(cpu)}"
        yield (
            f"step {step}, share of the run",
            _short(shares.median),
            _span(shares),
            "",
            absolute,
            span,
        )
    total = Spread.of([run["cpu_s"] * micro for run in runs])
    yield ("CPU, all processes, with the start", "", "", "", *_absolute(total, "µs a profile"))


def _start_s(run: Found) -> float:
    return float(run["process_seconds"] - run["seconds"])


def _figures(
    size: Found, parts: tuple[str, ...], figure: Callable[[Found], float]
) -> Spread | None:
    found = [figure(each) for each in size["rounds"] if all(part in each for part in parts)]
    return Spread.of(found) if found else None


def _ratio(size: Found, name: str, what: str, absolute: Spread | None, unit: str) -> Iterator[Row]:
    spread = ratios_of(size).get(name)
    if absolute is None:
        return
    ratio = ("", "") if spread is None else (_short(spread.median), _span(spread))
    yield (what, *ratio, GOALS.get(name, ""), *_absolute(absolute, unit))


def _absolute(spread: Spread, unit: str) -> tuple[str, str]:
    return f"{_short(spread.median)} {unit}", _span(spread)


def _span(spread: Spread) -> str:
    return f"{_short(spread.low)} – {_short(spread.high)}"


def _short(value: float) -> str:
    """Three digits of small figures, whole numbers of large ones."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
