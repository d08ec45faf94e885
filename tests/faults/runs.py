"""Runs of ``prefetch`` as processes of their own, over a bank's sources and into its Redis."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack import RedisServer
from tests.faults.campaign import Ground
from tests.forked import MAIN, Forked

RUN_S = 120.0
"""A run that has not ended by then hangs."""


@dataclass(frozen=True)
class Ended:
    """A run that is over: exit code (negative: a signal), report (empty if none), stderr."""

    code: int
    report: dict[str, Any]
    errors: str

    @property
    def success(self) -> bool:
        """Whether it says success."""
        return self.code == 0 and self.report.get("status") == "success"

    @property
    def told(self) -> str:
        """What it says of its failure."""
        return str(self.report.get("error") or self.errors[-400:])


class Runs(ABC):
    """A bank that can be run; whoever extends it has these, and says what its variables are."""

    ground: Ground
    folder: Path
    config: Path
    redis: RedisServer

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The variables of the pipeline file, and settings."""

    @property
    def stage(self) -> Path:
        """Where the rows of runs lie."""
        return self.folder / "stage"

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a run; ``REDIS_URL`` may lead through a proxy."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.ground.prefect_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "REDIS_URL": self.redis.url,
            "PREFETCH_STAGE_DIR": str(self.stage),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_FENCE_ALIVE_S": "1",
            **self.variables,
            **more,
        }

    def start(self, *arguments: str, program: str = MAIN, **environ: str) -> Forked:
        """Starts ``prefetch`` (default: ``run``) on this bank.

        Args:
            program: Python code in its place, to damage it first.
            environ: more variables.
        """
        command, *rest = arguments or ("run",)
        return self.ground.forks.prefetch(
            *(command, "--config", str(self.config), "--json", *rest),
            env=self.environ(**environ),
            program=program,
        )

    def ended(self, process: Forked, timeout: float = RUN_S) -> Ended:
        """The end of a started run.

        Raises:
            subprocess.TimeoutExpired: it hangs.
        """
        with process:
            out, errors = process.communicate(timeout)
            lines = out.splitlines()
            try:
                report = json.loads(lines[-1]) if lines else {}
            except ValueError:
                report = {}
            return Ended(process.wait(), report, errors)

    def run(self, *arguments: str, program: str = MAIN, **environ: str) -> Ended:
        """A run from its start to its end; see ``start``."""
        return self.ended(self.start(*arguments, program=program, **environ))

    def staged(self) -> list[str]:
        """What runs that have ended left in the stage: nothing, if all is well."""
        return sorted(path.name for path in self.stage.glob("stage-*"))
