"""Starting programs so that none outlives us: tied to this process, or recorded first."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ServerStartError
from devstack.folders import FILE_MODE
from devstack.proctree import ProcessId, identify

# Between fork and prctl the parent may die unseen: the child looks who its parent is.
STILL_CHILD = 'test "$PPID" = "$0" || exit 99; exec "$@"'
# A detached program waits until its pid is written down; if we die before, it ends too.
WAIT_FOR_GO = 'read -r go || exit 99; exec "$@" </dev/null'
PRIVATE_UMASK = 0o077


@dataclass(frozen=True)
class Program:
    """What to run, and how.

    Attributes:
        command: the program and its arguments.
        prefix: a launcher that executes the command in its own place (other user, …).
        death_signal: what the program gets when this process dies.
    """

    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    log: Path
    prefix: Sequence[str] = ()
    death_signal: signal.Signals = signal.SIGKILL


class _Spawner:
    """One thread that starts all programs and lives as long as this process.

    The kernel sends the parent-death signal when the *thread* that forked ends, not the
    process: a program started from a short-lived thread would be killed with it.
    """

    def __init__(self) -> None:
        self._thread = self._new()
        os.register_at_fork(after_in_child=self._renew)

    def run(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        future = self._thread.submit(start)
        try:
            return future.result()
        except BaseException:
            # Interrupted while waiting: nobody will ever hold this program's handle.
            if not future.cancel():
                future.add_done_callback(lambda f: None if f.exception() else f.result().kill())
            raise

    def _renew(self) -> None:
        self._thread = self._new()

    @staticmethod
    def _new() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix="devstack-spawner")


_SPAWNER = _Spawner()


def spawn_tied(program: Program) -> subprocess.Popen[bytes]:
    """Start a program that dies when this process dies, even by kill -9.

    Raises:
        DevstackError: the program or `setpriv` can't be executed.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DevstackError("setpriv is missing: install the package util-linux")
    name = program.death_signal.name.removeprefix("SIG")
    tie = [setpriv, "--pdeathsig", name, "sh", "-c", STILL_CHILD, str(os.getpid())]
    command = [*program.prefix, *tie, *program.command]
    return _SPAWNER.run(lambda: _popen(program, command, subprocess.DEVNULL))


def spawn_detached(
    program: Program, record: Callable[[ProcessId], None]
) -> subprocess.Popen[bytes]:
    """Start a program that survives this process, once `record` has written it down.

    Raises:
        DevstackError: the program can't be executed, or ended at once.
    """
    command = [*program.prefix, "sh", "-c", WAIT_FOR_GO, "sh", *program.command]
    process = _popen(program, command, subprocess.PIPE)
    with process.stdin or open(os.devnull, "wb") as go:
        identity = identify(process.pid)
        if identity is None:
            raise DevstackError(f"{program.command[0]} ended before it started")
        record(identity)
        go.write(b"go\n")
    return process


def run_to_end(program: Program, seconds: float) -> None:
    """Run a preparing command and wait for it; its output goes to the log.

    Raises:
        ServerStartError: it failed or took longer than `seconds`.
    """
    process = spawn_tied(program)
    name = Path(program.command[0]).name
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise ServerStartError(f"{name} took longer than {seconds:g} s", program.log) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code:
        raise ServerStartError(f"{name} failed with exit code {code}", program.log)


def _popen(program: Program, command: list[str], stdin: int) -> subprocess.Popen[bytes]:
    descriptor = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            cwd=program.folder,
            env=dict(program.environ),
            umask=PRIVATE_UMASK,
            # Ctrl-C in the terminal is for us; the servers are stopped in our order.
            start_new_session=True,
        )
    except OSError as error:
        raise DevstackError(f"can't execute {command[0]}: {error.strerror}") from error
    finally:
        os.close(descriptor)
