"""What the demo shows: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

WIDTH = 100
TELL_SECONDS = 1.0
"""Where lines don't move, no more than one word in this time."""

Tell = Callable[[str], None]


@dataclass
class Screen:
    """Prints for people; never markup, so that no text is taken for one."""

    console: Console

    @classmethod
    def on_stdout(cls) -> Screen:
        """The screen of this process."""
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console.width = WIDTH
        return cls(console)

    def title(self, text: str) -> None:
        """Begins a part."""
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def line(self, text: str, style: str = "") -> None:
        """Prints a line below the title."""
        self.console.print(Text(text, style=style))

    def show(self, what: RenderableType) -> None:
        """Prints a table or the like."""
        self.console.print(what)

    @contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        """Shows that something goes on, and in the end how long it took.

        Gives a function that takes what is being done just now.
        """
        started = time.monotonic()
        with self._moving(text) if self.console.is_terminal else self._growing(text) as tell:
            yield tell
        seconds = f"{time.monotonic() - started:.1f} s"
        if self.console.is_terminal:
            self.line(f"✓ {text}: {seconds}")
        else:
            self.line(seconds)

    @contextmanager
    def _moving(self, text: str) -> Iterator[Tell]:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            row = progress.add_task(text, total=None)
            yield lambda doing: progress.update(row, description=f"{text}: {doing}")

    @contextmanager
    def _growing(self, text: str) -> Iterator[Tell]:
        self._write(f"{text}: ")
        told = [time.monotonic() - TELL_SECONDS]

        def tell(doing: str) -> None:
            if time.monotonic() - told[0] >= TELL_SECONDS:
                told[0] = time.monotonic()
                self._write(f"{doing} · ")

        try:
            yield tell
        except BaseException:
            self._write("\n")
            raise

    def _write(self, text: str) -> None:
        self.console.file.write(text)
        self.console.file.flush()
