"""The threads of processes, for what the kernel wants to be told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


def for_each_thread(pids: Iterable[int], change: Callable[[int], None]) -> None:
    """Carries out a change for each thread of these processes, by the thread's id.

    Processes and threads that have ended meanwhile are left out.
    """
    for pid in pids:
        with suppress(FileNotFoundError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    change(int(thread.name))
