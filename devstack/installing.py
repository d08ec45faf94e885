"""Makes the virtual environment and installs the project into it, with progress.

`python3 devstack/installing.py .venv` is what `make install` does. It runs before anything is
installed: the standard library must do. Nothing is written outside of the clone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
PROJECT = Path(__file__).resolve().parents[1]
SAY_SECONDS = 5.0
TAIL_LINES = 15
NOT_INSTALLED = (
    "The packages could not be installed: pip says why, above. It needs a package registry; go "
    "online once, or set PIP_INDEX_URL to one of your own."
)
OPTIONS = ("--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off")


def main(arguments: list[str]) -> int:
    """Installs into the folder named; the exit code."""
    venv = PROJECT / (arguments[0] if arguments else ".venv")
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return _failed(
            f"Python {wanted} or newer is needed: say which, as in PYTHON=python{wanted}"
        )
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False)
    if made.returncode:
        return _failed("no virtual environment could be made; on Debian, install python3-venv")
    return _install(venv)


def _install(venv: Path) -> int:
    started = time.monotonic()
    log = venv / "install.log"
    command = [str(venv / "bin/python"), "-m", "pip", "install", *OPTIONS]
    command += ["-c", "constraints.txt", "-e", ".[dev]"]
    show = _Progress(f"setting up {venv.name}")
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            kept.write(line)
            show.take(line)
    show.end(f"{time.monotonic() - started:.0f} s")
    if pip.returncode:
        tail = log.read_text(encoding="utf-8").splitlines()[-TAIL_LINES:]
        return _failed(
            "\n".join(tail)
            + "\nthe packages could not be installed: pip says why, above. It needs "
            "a package registry; go online once, or set PIP_INDEX_URL to one of your own"
        )
    return 0


class _Progress:
    """What pip does, in one line: it moves on a terminal, and grows elsewhere."""

    def __init__(self, title: str) -> None:
        self._title, self._packages, self._said = title, 0, time.monotonic()
        self._moves = sys.stdout.isatty()
        self._write(f"{title}: ")

    def take(self, line: str) -> None:
        """Takes a line of pip's output."""
        word = line.split(" ", 1)[0]
        self._packages += word == "Collecting"
        if self._moves and line.strip():
            doing = " ".join(line.split())[:60]
            self._write(f"\r\x1b[2K{self._title}: {self._packages} packages · {doing}")
        elif time.monotonic() - self._said > SAY_SECONDS or word == "Installing":
            self._said = time.monotonic()
            self._write(
                "installing · " if word == "Installing" else f"{self._packages} packages · "
            )

    def end(self, how: str) -> None:
        """Ends the line."""
        again = f"\r\x1b[2K{self._title}: {self._packages} packages · " if self._moves else ""
        self._write(f"{again}{how}\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _failed(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
