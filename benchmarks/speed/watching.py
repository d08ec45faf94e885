"""Watches a process and all below it from outside: memory, and CPU time by step."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from devstack.proctree import descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.25

Moments = Sequence[tuple[float, float]]
"""A time (seconds since 1970) and the CPU seconds used until then, in order."""


@dataclass
class Watch:
    """What was seen of a process tree.

    Attributes:
        servers: processes that work for it, but are none of them, by name.
        memory_s: seconds between two looks at the memory, which cost some milliseconds each.
        peak_kib: the largest sum of proportional set sizes (PSS) of all processes.
        moments: CPU seconds used by and by.
        server_moments: likewise, of each server.
    """

    servers: Mapping[str, int]
    memory_s: float = 0.5
    peak_kib: int = 0
    moments: list[tuple[float, float]] = field(default_factory=list)
    server_moments: dict[str, list[tuple[float, float]]] = field(init=False)

    def __post_init__(self) -> None:
        self.server_moments = {name: [] for name in self.servers}

    def until_end(self, child: subprocess.Popen[bytes]) -> None:
        """Looks at it over and over until it ends."""
        memory_due = 0.0
        while True:
            pids = tree(child.pid)
            self.moments.append((time.time(), cpu_s(pids)))
            for name, server in self.servers.items():
                self.server_moments[name].append((time.time(), cpu_s([server])))
            if time.monotonic() >= memory_due:
                memory_due = time.monotonic() + self.memory_s
                self.peak_kib = max(self.peak_kib, sum(map(_pss_kib, pids)))
            try:
                child.wait(min(_LOOK_S, self.memory_s))
            except subprocess.TimeoutExpired:
                continue
            return


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(process.pid for process in descendants(pid))]


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of some processes, with those of their children that have ended."""
    return sum(map(_cpu_s, pids))


def used_at(moments: Moments, moment: float) -> float:
    """CPU seconds used until then."""
    times, used = zip(*moments, strict=True)
    return float(np.interp(moment, times, used))


def by_step(moments: Moments, started: float, steps: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each step.

    Args:
        started: when the first step began.
        steps: seconds of each, in their order; one follows the other.
    """
    ends = accumulate(steps.values(), initial=started)
    spent = [after - before for before, after in pairwise(used_at(moments, end) for end in ends)]
    return {name: round(cpu, 3) for name, cpu in zip(steps, spent, strict=True)}


def _cpu_s(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0
    # utime, stime, and the same of the children that were waited for.
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) / _TICKS


def _pss_kib(pid: int) -> int:
    """The proportional set size of a process; 0 once it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in text.splitlines() if row[:4] == "Pss:"), 0)
