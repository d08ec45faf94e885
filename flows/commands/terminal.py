"""What a run shows on stderr: a bar for each step to a person, else Prefect's log lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from flows.steps import listening


@contextmanager
def watched(as_json: bool) -> Iterator[None]:
    """Shows the run made inside: as bars where stderr is a terminal, else as log lines.

    Errors are left to the caller, who tells them once and without a traceback.
    """
    if as_json or not sys.stderr.isatty():
        _tame_logs(logging.NOTSET)
        yield
        return
    console = Console(stderr=True, markup=False)
    bars = Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    try:
        with bars, listening(_steps_as(bars)):
            _tame_logs(logging.WARNING, console)
            yield
            for row in bars.task_ids:  # shares need not add up to 1 to the last bit
                bars.update(row, completed=1)
    finally:
        logging.disable()  # Prefect tells what it still sends while it winds down


def _steps_as(bars: Progress) -> Callable[[str, float], None]:
    """A listener that gives each step a bar; one that begins ends the step before."""
    rows: dict[str, TaskID] = {}
    lock = Lock()

    def advance(step: str, share: float) -> None:
        with lock:
            if step not in rows:
                for row in rows.values():
                    bars.update(row, completed=1)
                rows[step] = bars.add_task(step, total=1)
            bars.advance(rows[step], share)

    advance("start", 0)
    return advance


def _tame_logs(least: int, console: Console | None = None) -> None:
    """Leaves errors and tracebacks to Prefect's UI, and prints the rest above the bars."""
    from prefect.logging.configuration import setup_logging
    from prefect.logging.handlers import PrefectConsoleHandler

    setup_logging()  # the flow's own call later leaves the handlers as they are

    def is_shown(record: logging.LogRecord) -> bool:
        return least <= record.levelno < logging.ERROR and not record.exc_info

    for handler in logging.getLogger().handlers:
        handler.addFilter(is_shown)
        if console is not None and isinstance(handler, PrefectConsoleHandler):
            handler.console = console
