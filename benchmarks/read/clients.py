"""The clients' processes as seen from here: jobs go in, notes come out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.read.client import Job
from devstack.folders import PROJECT

Notes = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Asked:
    """What one job came to: rows of question, due, sent, done, outcome, and the CPU it took."""

    job: Job
    notes: Notes
    cpu_s: float

    def of(self, question: str) -> Notes:
        """The rows of one question."""
        number = self.job.questions.index(question)
        found: Notes = self.notes[self.notes[:, 0] == number]
        return found


class Clients:
    """One client process for all jobs; they are done one after the other."""

    def __init__(
        self, process: subprocess.Popen[str], folder: Path, urls: Mapping[str, str]
    ) -> None:
        self._process, self._folder, self.urls = process, folder, urls
        self._numbers = count()
        self.pid, self.config = process.pid, ""

    def ask(
        self, subject: str, rates: Mapping[str, float], connections: int, seconds: float
    ) -> Asked:
        """Does a job and waits for it.

        Raises:
            SystemExit: the client has ended.
        """
        notes = self._folder / f"notes-{next(self._numbers)}.npy"
        url = self.urls[subject]
        job = Job(subject, url, self.config, rates, connections, seconds, str(notes))
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit("the client ended; its message is above")
        asked = Asked(job, np.load(notes), json.loads(line)["cpu_s"])
        notes.unlink()
        return asked


@contextmanager
def clients(folder: Path, sample: Path, urls: Mapping[str, str]) -> Iterator[Clients]:
    """Starts the client's process; it ends with the block."""
    command = [sys.executable, "-m", "benchmarks.read.client", str(sample)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Clients(process, folder, urls)
        finally:
            process.kill()
