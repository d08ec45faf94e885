"""What is divided by what: in each round by itself, then the median of all rounds and their span.

Rates are profiles (or flat rows) per second. The seconds of a run are those of its flow run:
extraction, guard, load and check, without the fixed start of Python and Prefect.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.peers import PEERS

Found = Mapping[str, Any]
Ratio = Callable[[Found, int], float]

SMALL, LARGE = 100_000, 1_000_000


@dataclass(frozen=True)
class Spread:
    """The median of some figures, and the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def load_vs_limit(found: Found, users: int) -> float:
    """The load step's rate by the limit's."""
    return users / float(found["full"]["steps"]["load"]) / rate(found["limit"])


def redis_vs_limit(found: Found, _users: int) -> float:
    """The CPU of Redis in the load step by that at the limit."""
    return float(found["full"]["redis_cpu_by_step"]["load"] / found["limit"]["redis_cpu_s"])


def run_vs_limit(found: Found, users: int) -> float:
    """The whole run's rate by the limit's."""
    return run_rate(found, users) / rate(found["limit"])


def run_vs(peer: str) -> Ratio:
    """The whole run's rate by that of a peer."""
    return lambda found, users: run_rate(found, users) / rate(found[peer])


def time_vs_full(kind: str) -> Ratio:
    """The seconds of another run by those of the full one."""
    return lambda found, _: float(found[kind]["seconds"] / found["full"]["seconds"])


def prefect_share(found: Found, _users: int) -> float:
    """Prefect's part of the full run: see ``prefect_cost``."""
    return prefect_s(found) / float(found["full"]["seconds"])


def prefect_s(found: Found) -> float:
    """Seconds that Prefect takes of a full run, beside its start."""
    told = found["full"]["prefect"]
    return float(found["empty_flow"]["seconds"] + told["server_cpu_above_idle_s"] / told["cores"])


def rate(done: Found) -> float:
    """Rows per second of the limit or a peer."""
    return float(done["rows"] / done["seconds"])


def run_rate(found: Found, users: int) -> float:
    """Profiles per second of the full run."""
    return users / float(found["full"]["seconds"])


RATIOS: Mapping[str, tuple[Ratio, tuple[str, ...]]] = {
    "load_vs_limit": (load_vs_limit, ("limit", "full")),
    "redis_cpu_load_vs_limit": (redis_vs_limit, ("limit", "full")),
    "run_vs_limit": (run_vs_limit, ("limit", "full")),
    **{f"run_vs_{peer}": (run_vs(peer), (peer, "full")) for peer in PEERS},
    "changed_5pct_vs_full": (time_vs_full("changed"), ("changed", "full")),
    "unchanged_vs_full": (time_vs_full("unchanged"), ("unchanged", "full")),
    "prefect_share": (prefect_share, ("full", "empty_flow")),
}
"""Each with what a round must have for it."""


def ratios_of(size: Found) -> dict[str, Spread]:
    """The ratios for one number of users, as far as they were measured."""
    found = {}
    for name, (ratio, needed) in RATIOS.items():
        rounds = [each for each in size["rounds"] if all(part in each for part in needed)]
        if rounds:
            found[name] = Spread.of([ratio(each, size["users"]) for each in rounds])
    return found


def headline(sizes: Sequence[Found]) -> dict[str, float | None]:
    """One value for each ratio: that with the most users where it was measured."""
    chosen: dict[str, float | None] = dict.fromkeys(RATIOS)
    for size in sorted(sizes, key=lambda size: int(size["users"])):
        chosen.update({name: spread.median for name, spread in ratios_of(size).items()})
    chosen["time_per_profile_1m_vs_100k"] = growth(sizes)
    return chosen


def growth(sizes: Sequence[Found], few: int = SMALL, many: int = LARGE) -> float | None:
    """The time per profile with many users by that with few; None where one was not measured."""
    times = {
        size["users"]: seconds_of(size, "full").median / size["users"]
        for size in sizes
        if any("full" in each for each in size["rounds"])
    }
    return times[many] / times[few] if many in times and few in times else None


def seconds_of(size: Found, part: str) -> Spread:
    """Of a part in all rounds that have it."""
    return Spread.of([each[part]["seconds"] for each in size["rounds"] if part in each])


def memory_of(size: Found) -> int:
    """The most memory that any full run took, in MB."""
    runs = [size["first_run"], *(each["full"] for each in size["rounds"] if "full" in each)]
    return max(int(each["peak_mb"]) for each in runs)
