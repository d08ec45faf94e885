"""One ``prefetch run`` as users start it: its report, what it took, and what it cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.ground import CONFIG, Ground
from benchmarks.speed.watching import Watch, by_step
from benchmarks.threads import for_each_thread
from devstack.folders import PROJECT
from devstack.proctree import descendants

FIGURES = ("users", "created", "updated", "unchanged", "checked", "bytes_written")


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        seconds: of the flow run, as its report says.
        process_seconds: of the whole command, with the start of Python and of Prefect.
        steps: seconds of each step.
        counts: users created, updated, unchanged …
        cpu_s: CPU seconds of all its processes.
        cpu_by_step: of these, by step.
        redis_cpu_by_step: CPU seconds of Redis, likewise.
        peak_mb: the most memory (PSS) of all its processes together.
        prefect: what Prefect had to do with it: see ``prefect_cost``.
    """

    seconds: float
    process_seconds: float
    steps: Mapping[str, float]
    counts: Mapping[str, int]
    cpu_s: float
    cpu_by_step: Mapping[str, float]
    redis_cpu_by_step: Mapping[str, float]
    peak_mb: int
    prefect: Mapping[str, float]


def run(ground: Ground, memory_s: float = 0.5) -> Run:
    """Runs it.

    Raises:
        SystemExit: it failed; with its messages.
    """
    command = [sys.executable, "-m", "flows.command_line", "run", "--config", str(CONFIG), "--json"]
    redis = ground.stack.servers["redis"]
    watch = Watch({"prefect": ground.prefect.pid, "redis": redis.pid}, memory_s)
    before, started = _children_cpu_s(), time.monotonic()
    report = _report(command, ground, watch)
    seconds, cpu = time.monotonic() - started, _children_cpu_s() - before
    prefect = ground.prefect.last_run(watch.server_moments["prefect"])
    began = prefect.pop("began")
    return Run(
        report["seconds"],
        round(seconds, 3),
        report["steps"],
        {name: report[name] for name in FIGURES},
        round(cpu, 3),
        by_step(watch.moments, began, report["steps"]),
        by_step(watch.server_moments["redis"], began, report["steps"]),
        round(watch.peak_kib / 1024),
        prefect,
    )


@contextmanager
def machine_of(cores: int) -> Iterator[None]:
    """All servers, and what is started meanwhile, on the first so many of the usable cores."""
    usable = sorted(os.sched_getaffinity(0))
    mine = os.getpid()
    everyone = {mine, *(process.pid for process in descendants(mine))}
    for_each_thread(everyone, lambda thread: os.sched_setaffinity(thread, usable[:cores]))
    try:
        yield
    finally:
        for_each_thread(everyone, lambda thread: os.sched_setaffinity(thread, usable))


def _report(command: Sequence[str], ground: Ground, watch: Watch) -> dict[str, Any]:
    out, log = ground.folder / "prefetch.out", ground.folder / "prefetch.log"
    with out.open("wb") as told, log.open("wb") as errors:
        child = subprocess.Popen(
            command, env=ground.environ, cwd=PROJECT, stdout=told, stderr=errors
        )
        try:
            watch.until_end(child)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode:
        sys.exit(_text(log))
    report: dict[str, Any] = json.loads(_text(out).splitlines()[-1])
    return report


def _children_cpu_s() -> float:
    """Of all children that have ended; one command ends between two looks."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
