"""SIGKILL, SIGSTOP and SIGCONT, on a seed; each tells whether it really struck."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.faults.proxy import Link, Proxy

POLL_S = 0.002


class Process(Protocol):
    """What can be killed: ``subprocess.Popen`` and ``tests.forked.Forked``."""

    pid: int

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...


class Nemesis:
    """Chance, and what it does to processes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def kill_after(self, process: Process, seconds: float) -> bool:
        """Kills it with -9 after a while; False where it had ended before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if process.poll() is not None:
                return False
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
        process.kill()
        return self.died(process)

    def kill_when(
        self, process: Process, reached: Callable[[], bool], within: float = 60.0
    ) -> bool:
        """Kills it with -9 once something is so; False where it had ended before, or never was."""
        until = time.monotonic() + within
        while not reached():
            if process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(POLL_S)
        process.kill()
        return self.died(process)

    @staticmethod
    def died(process: Process) -> bool:
        """Whether it has died of SIGKILL; waits for its end."""
        while (code := process.poll()) is None:
            time.sleep(POLL_S)
        return code == -signal.SIGKILL

    @staticmethod
    def stop(process: Process) -> None:
        """Freezes it; returns once it stands still."""
        os.kill(process.pid, signal.SIGSTOP)
        while not is_stopped(process.pid):
            time.sleep(POLL_S)

    @staticmethod
    def wake(process: Process) -> None:
        """Lets a frozen one go on."""
        os.kill(process.pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Whether a process stands still."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


def standing(process: Process) -> bool:
    """Whether a process has stopped itself; waits for that, or for its end."""
    while process.poll() is None:
        if is_stopped(process.pid):
            return True
        time.sleep(POLL_S)
    return False


class AtCommand:
    """Does something just before or behind the k-th Redis command that passes a proxy.

    Args:
        number: which command, from 1.
        action: what to do; runs in the proxy's thread.
        passing: whether the command still reaches Redis; if not, all before it have.
    """

    def __init__(
        self, proxy: Proxy, number: int, action: Callable[[], None], *, passing: bool
    ) -> None:
        self.seen, self.struck = 0, threading.Event()
        self._number, self._action, self._passing = number, action, passing
        self._lock = threading.Lock()
        self._waiting: dict[Link, bytes] = {}
        proxy.on_request = self._pass

    def _pass(self, link: Link, data: bytes) -> bytes | None:
        with self._lock:
            if self.struck.is_set():
                return None
            buffer = self._waiting.pop(link, b"") + data
            whole = 0
            while (end := _end_of_command(buffer, whole)) is not None:
                self.seen += 1
                if self.seen == self._number:
                    self.struck.set()
                    link.server.sendall(buffer[: end if self._passing else whole])
                    self._action()
                    return None
                whole = end
            self._waiting[link] = buffer[whole:]
            return buffer[:whole]


class AtByte:
    """Does something once so many bytes of requests have passed a proxy, wherever in a command.

    Args:
        number: how many, from when this is made.
        action: what to do; runs in the proxy's thread.
        later: seconds that are waited first, while everything goes on.
    """

    def __init__(
        self, proxy: Proxy, number: int, action: Callable[[], None], later: float = 0.0
    ) -> None:
        self._left, self._action, self._later = number, action, later
        self._lock, self._struck = threading.Lock(), False
        proxy.on_request = self._pass

    def _pass(self, link: Link, data: bytes) -> bytes | None:
        with self._lock:
            self._left -= len(data)
            due = self._left < 0 and not self._struck
            self._struck = self._struck or due
        if due and self._later:
            threading.Timer(self._later, self._action).start()
        elif due:
            link.server.sendall(data[: self._left])
            self._action()
            return None
        return data


def _end_of_command(buffer: bytes, start: int) -> int | None:
    """Where the command that begins there ends; None where it is not complete."""
    line = buffer.find(b"\r\n", start)
    if line < 0:
        return None
    place = line + 2
    for _ in range(int(buffer[start + 1 : line])):
        line = buffer.find(b"\r\n", place)
        if line < 0:
            return None
        place = line + 2 + int(buffer[place + 1 : line]) + 2
        if place > len(buffer):
            return None
    return place
