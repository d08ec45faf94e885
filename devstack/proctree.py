"""Processes as /proc shows them: who is who, who descends from whom, who is gone.

A pid alone may be used again by another program. A pid, its start time and the boot it
belongs to are one process for sure.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class ProcessId:
    """One process, told apart from every later user of its pid.

    Attributes:
        started: start time in clock ticks since boot.
        boot: the kernel's id of this boot.
    """

    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """The kernel's id of the running boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId | None:
    """The process that has the pid now; None where none has, or only a zombie."""
    stat = _stat(pid)
    return None if stat is None else ProcessId(pid, stat[1], boot_id())


def is_alive(process: ProcessId) -> bool:
    """True while the very process runs; a zombie counts as gone."""
    return identify(process.pid) == process


def send(process: ProcessId, number: signal.Signals) -> None:
    """Signal the process if it is still the one meant; otherwise do nothing."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def descendants(pid: int) -> list[ProcessId]:
    """All processes below the pid, children first."""
    children: dict[int, list[ProcessId]] = {}
    boot = boot_id()
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        stat = _stat(int(entry.name))
        if stat is not None:
            children.setdefault(stat[0], []).append(ProcessId(int(entry.name), stat[1], boot))
    found = list(children.get(pid, []))
    for process in found:  # grows while it is walked
        found.extend(children.get(process.pid, []))
    return found


def kill_tree(process: ProcessId) -> None:
    """SIGKILL the process and all below it, and wait until they are gone."""
    # Stopped first: what can't run can't fork between the look and the kill.
    send(process, signal.SIGSTOP)
    below = descendants(process.pid) if is_alive(process) else []
    for each in (process, *below):
        send(each, signal.SIGKILL)
    wait_gone([process, *below], seconds=10)


def wait_gone(processes: list[ProcessId], seconds: float) -> bool:
    """Wait until all are gone; False where some still run after that time."""
    deadline = time.monotonic() + seconds
    while any(is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent pid and start time; None for a zombie or nobody."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The program's name stands in parentheses and may hold spaces and parentheses.
    state, parent, *rest = text.rpartition(")")[2].split()
    return None if state in "ZX" else (int(parent), int(rest[17]))
