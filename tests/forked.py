"""``prefetch`` processes out of one that has everything imported: 0.1 s to start in place of 3.

``python -m tests.forked SOCKET`` is that one: it forks a process for each request. What a fork
does is what ``prefetch`` does; that its imports work is for the tests that start the real one.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import select
from typing import IO, Self

ROOT = Path(__file__).resolve().parents[1]
WARM = (
    *(f"flows.{name}" for name in ("command_line", "nightly", "backfill", "incremental", "verify")),
    *(f"flows.{name}" for name in ("tasks", "replaying", "forgetting", "commands.index")),
    *("connectors.registry", "prefect.flow_engine", "prefect.task_engine", "prefect.events.worker"),
)
START_S = 60.0
MAIN = "from flows import command_line\ncommand_line.main()\n"


class Forked:
    """A process, with the part of ``subprocess.Popen`` that tests use; text pipes, or DEVNULL."""

    def __init__(self, args: Sequence[str], out: IO[str], err: IO[str], status: int) -> None:
        self.args, self.stdout, self.stderr, self._status = args, out, err, status
        self.returncode: int | None = None
        self.pid = self._read()

    def poll(self) -> int | None:
        """The exit code of one that has ended, negative after a signal."""
        if self.returncode is None and select([self._status], [], [], 0)[0]:
            self.returncode = self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        if self.returncode is None and not select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has printed, once it has ended."""
        with ThreadPoolExecutor(2) as readers:
            both = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return both[0].result(), both[1].result()

    def ended(self, timeout: float) -> subprocess.CompletedProcess[str]:
        """It as ``subprocess.run`` gives one."""
        out, err = self.communicate(timeout)
        return subprocess.CompletedProcess(self.args, self.wait(), out, err)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.stdout.close()
        self.stderr.close()
        os.close(self._status)

    def _read(self) -> int:
        told = os.read(self._status, 8)
        assert len(told) == 8, "the process that forks has ended"
        return int.from_bytes(told, "little", signed=True)


class Forks:
    """The process that forks, as long as the block lasts."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            env={**environ, "OPENBLAS_NUM_THREADS": "1"},  # its threads don't outlive a fork
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def prefetch(
        self, *arguments: str, env: Mapping[str, str], program: str = MAIN, cwd: Path = ROOT
    ) -> Forked:
        """``prefetch`` with these arguments, or a program in its place that damages it first."""
        (out, out_in), (err, err_in), (status, status_in) = os.pipe(), os.pipe(), os.pipe()
        request = json.dumps([program, ["prefetch", *arguments], dict(env), str(cwd)]).encode()
        socket.send_fds(self._socket, [request], [out_in, err_in, status_in])
        for end in (out_in, err_in, status_in):
            os.close(end)
        return Forked(["prefetch", *arguments], os.fdopen(out), os.fdopen(err), status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(START_S)


def serve(requests: socket.socket) -> str:
    """Forks at each request; returns in the fork only, with the program that it shall run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, (*ends,), _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not request:
            sys.exit()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            return _kept(*json.loads(request), *ends)
        for end in ends:
            os.close(end)


def _kept(program: str, argv: list[str], env: dict[str, str], cwd: str, *ends: int) -> str:
    """Forks once more, and stays to tell the pid and the exit code."""
    out, err, status = ends
    if pid := os.fork():
        os.close(out)
        os.close(err)
        os.write(status, pid.to_bytes(8, "little"))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(status, code.to_bytes(8, "little", signed=True))
        os._exit(0)
    os.close(status)
    for end, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(end, number)
        os.close(end)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = argv
    random.seed()
    return program


def _warmed() -> None:
    for module in WARM:
        importlib.import_module(module)
    # Those of the allocators idle by now, and start again in a fork by themselves.
    assert threading.active_count() == 1, "a fork would lack all other threads"
    gc.freeze()


if __name__ == "__main__":
    _warmed()
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    importlib.import_module("prefect.context").refresh_global_settings_context()
    exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
