"""Starts ``prefetch`` as a user does, shows what it is at, and gives its report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.demo.failure import DemoFailed
from devstack.demo.screen import Screen, Tell
from devstack.errors import log_tail
from devstack.folders import PROJECT
from devstack.process import Program, spawn_tied

CONFIG = "examples/demo_bank/pipeline.yaml"
POLL_SECONDS = 0.1
SHOW_SECONDS = 60.0

_TASK = re.compile(r"Task run '(\w+)")


@dataclass(frozen=True)
class Runs:
    """The ``prefetch`` command in the demo's environment; logs go to a folder."""

    environ: Mapping[str, str]
    folder: Path

    def run(self, name: str, screen: Screen, text: str) -> dict[str, Any]:
        """Carries out ``prefetch run``; its report.

        Raises:
            DemoFailed: it did not succeed.
        """
        log = self.folder / f"{name}.log"
        with screen.step(text) as tell:
            code = _followed(self._program(log, "run", "--json"), tell)
        report = _report_in(log)
        if code or report is None:
            why = (report or {}).get("error") or log_tail(log)
            raise DemoFailed(f"`prefetch run` ended with exit code {code}: {why}\nsee {log}")
        return report

    def shown(self, user: int) -> dict[str, Any]:
        """A user's masked profile, as ``prefetch show`` prints it.

        Raises:
            DemoFailed: it can't be shown.
        """
        program = self._program(self.folder / "show.log", "show", "--json", str(user))
        done = subprocess.run(
            program.command,
            env=dict(self.environ),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=SHOW_SECONDS,
        )
        if done.returncode:
            raise DemoFailed(f"`prefetch show` failed: {done.stderr.strip()}")
        profile: dict[str, Any] = json.loads(done.stdout)
        return profile

    def _program(self, log: Path, command: str, *arguments: str) -> Program:
        line = [str(script("prefetch")), command, "--config", CONFIG, *arguments]
        return Program(line, self.environ, PROJECT, log)


def script(name: str) -> Path:
    """A command of this environment."""
    return Path(sys.executable).with_name(name)


def _followed(program: Program, tell: Tell) -> int:
    """Runs a program to its end and tells which of its steps goes on; its exit code."""
    process = spawn_tied(program)
    try:
        with program.log.open(encoding="utf-8", errors="replace") as log:
            doing = ""
            while process.poll() is None:
                for line in log:
                    found = _TASK.search(line)
                    if found and found[1] != doing:
                        doing = found[1]
                        tell(doing)
                time.sleep(POLL_SECONDS)
        return process.returncode
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _report_in(log: Path) -> dict[str, Any] | None:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line[:1] == "{"]
    report: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return report
