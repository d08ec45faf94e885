"""What Redis itself says: its own latencies, its memory, when it was written to; and who works."""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from store.client import Client

COMMANDS = ("json.get", "mget", "FT.SEARCH", "json.set", "exec")
"""As INFO spells them."""

WATCH_S, BUSY_S = 0.1, 2.0
_MB = 1024 * 1024


def forget_latencies(client: Client) -> None:
    """Starts the server's own histograms anew."""
    client.execute_command("CONFIG", "RESETSTAT")


def latencies(client: Client) -> dict[str, dict[str, float]]:
    """By command: calls, and microseconds in the server (mean, p50, p99, p99.9)."""
    told: dict[str, Any] = {**client.info("commandstats"), **client.info("latencystats")}
    found = {}
    for command in COMMANDS:
        stats = told.get(f"cmdstat_{command}")
        quantiles = told.get(f"latency_percentiles_usec_{command}")
        if stats and quantiles:
            found[command] = {
                "calls": stats["calls"],
                "mean_us": stats["usec_per_call"],
                **{f"{name}_us": value for name, value in quantiles.items()},
            }
    return found


def used_memory(client: Client) -> int:
    """Bytes that Redis has allocated."""
    return int(client.info("memory")["used_memory"])


def index_sizes(client: Client, index: str) -> dict[str, float]:
    """What FT.INFO says of an index: its documents, and megabytes by part."""
    told = client.execute_command("FT.INFO", index)
    pairs = {key.decode(): value for key, value in zip(told[::2], told[1::2], strict=True)}
    sizes = {name: float(value) for name, value in pairs.items() if name.endswith("_mb")}
    return {"documents": float(pairs["num_docs"]), **sizes}


class Writes:
    """Watches from a thread when documents are written, in nanoseconds of the monotonic clock."""

    def __init__(self, client: Client) -> None:
        self._client, self._ended = client, threading.Event()
        self._seen: list[tuple[int, int]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def span(self) -> tuple[int, int]:
        """From before the first write to after the last one."""
        last = self._seen[-1][1]
        if not last:
            raise RuntimeError("no document was written: there is nothing to measure")
        before = [moment for moment, count in self._seen if count == 0]
        after = [moment for moment, count in self._seen if count == last]
        return max(before), min(after)

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_S):
            stats = self._client.info("commandstats").get("cmdstat_json.set", {"calls": 0})
            self._seen.append((time.monotonic_ns(), stats["calls"]))


class Work:
    """Who has worked how much since: CPU cores of the whole machine and of some processes."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids, self._started = pids, time.monotonic()
        self._before = self._seconds()

    def cores(self) -> dict[str, float]:
        """By name, CPU seconds per second since then."""
        passed, now = time.monotonic() - self._started, self._seconds()
        return {name: round((now[name] - self._before[name]) / passed, 2) for name in now}

    def _seconds(self) -> dict[str, float]:
        ticks = os.sysconf("SC_CLK_TCK")
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        user, nice, system, _, _, irq, softirq = map(int, fields[:7])
        found = {"machine": (user + nice + system + irq + softirq) / ticks}
        for name, pid in self._pids.items():
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            found[name] = (int(stat[11]) + int(stat[12])) / ticks
        return found


def cores_busy() -> float:
    """How many cores are at work, before this begins."""
    work = Work({})
    time.sleep(BUSY_S)
    return work.cores()["machine"]


def machine() -> dict[str, Any]:
    """What this ran on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(": ")[2] for line in info.splitlines() if line[:10] == "model name"]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MB / 1024
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
