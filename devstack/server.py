"""What every embedded server does: start, stop, die, freeze, come back on the same port."""

import atexit
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from devstack.errors import DevstackError, ServerStartError
from devstack.folders import private_folder, remove_tree
from devstack.ports import PortLease
from devstack.process import Program, run_to_end, spawn_detached, spawn_tied
from devstack.proctree import ProcessId, descendants, identify, kill_tree, send, wait_gone

READY_POLL_SECONDS = 0.02
PREPARE_SECONDS = 60.0
STOP_SECONDS = 15.0
PASSED_ON = ("PATH", "HOME", "TMPDIR")


@dataclass(eq=False, kw_only=True)
class Server(ABC):
    """One real server on 127.0.0.1, with its data and log in a folder of its own.

    As a context manager it starts (unless it runs already), and at the end it is closed:
    the process and the data are gone, the log stays. `stop` and `kill` keep the data, so
    that `start` brings the server back on the same port.

    Attributes:
        folder: for `data/` and `server.log`; created for this user only.
        port: 0 takes a free one at the first start.
        extra_args: appended to the server's command line.
        timeout: seconds that a start may take.
        record: set for a server that survives this process; called with its identity
            before it may run.
    """

    name: ClassVar[str]
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    folder: Path = field(kw_only=False)
    port: int = 0
    extra_args: Sequence[str] = ()
    timeout: float = 30.0
    record: Callable[[ProcessId], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: ProcessId | None = None
        self._lease: PortLease | None = None
        self._closed = False
        self._owner = os.getpid()
        self._lock = threading.Lock()

    # --- what a kind of server says about itself

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for a client; known after the first start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def is_ready(self) -> bool:
        """True once the server answers and is set up; False or OSError means ask again."""

    def create_data(self) -> None:
        """Make the data folder and what must be in it before the first start."""
        private_folder(self.data)

    def prefix(self) -> list[str]:
        """A launcher for the server's programs."""
        return []

    def environ(self) -> dict[str, str]:
        """The programs' whole environment: the same everywhere, without the caller's."""
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    # --- life

    @property
    def data(self) -> Path:
        """The folder that `close` removes."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """All that the server prints; kept by `close`."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The running server's process id.

        Raises:
            DevstackError: it doesn't run.
        """
        if self._process is None or self._process.poll() is not None:
            raise DevstackError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the process lives, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start, wait until the server is ready, and return it.

        Raises:
            NotInstalledError: its program is missing.
            ServerStartError: it ended or stayed silent; with the log's tail.
            DevstackError: it runs already, or is closed.
        """
        if self.running:
            raise DevstackError(f"{self.name} is already running")
        self.command()  # a missing program shows before a folder is made
        private_folder(self.folder)
        if self._lease is None:
            self._lease = PortLease(self.port)
            self.port = self._lease.port
        try:
            self._prepare()
            self._launch()
            self._wait_ready()
        except BaseException:
            self.kill()
            if self._closed:  # in mid-start, by another thread
                self.discard_data()
                self._lease.release()
            raise
        return self

    def stop(self) -> None:
        """End the server in its orderly way, by force after 15 s; the data stay."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL the server and all its processes: a crash; the data stay."""
        if self._process is None or not self._is_owner:
            return
        if self._identity is not None and self._process.poll() is None:
            kill_tree(self._identity)
        self._process.wait()

    def close(self) -> None:
        """End the server at once and remove its data; only the log stays."""
        if not self._is_owner:
            return
        with self._lock:
            self._closed = True
        atexit.unregister(self.close)
        self._end(self.death_signal)
        self.discard_data()
        if self._lease is not None:
            self._lease.release()

    def discard_data(self) -> None:
        """Remove what the server keeps; it must not run."""
        self._created.unlink(missing_ok=True)
        remove_tree(self.data)

    def pause(self) -> None:
        """Freeze the server and its processes (SIGSTOP): it accepts, and never answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._signal_all(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- for the kinds of servers

    def run(self, *command: str | Path, environ: Mapping[str, str] | None = None) -> None:
        """Run one of the server's own programs to its end; its output goes to the log."""
        program = self._program([str(part) for part in command], environ)
        run_to_end(program, PREPARE_SECONDS)

    # --- inner steps

    @property
    def _is_owner(self) -> bool:
        # A forked child inherits this object and must not end its parent's servers.
        return os.getpid() == self._owner

    @property
    def _created(self) -> Path:
        return self.folder / "data.complete"

    def _prepare(self) -> None:
        if self._created.exists():
            return
        # Without the mark it is a half-made folder of a start that was cut.
        remove_tree(self.data)
        self.create_data()
        self._created.touch()

    def _program(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> Program:
        return Program(
            command=command,
            environ={**self.environ(), **(environ or {})},
            folder=self.folder,
            log=self.log,
            prefix=self.prefix(),
            death_signal=self.death_signal,
        )

    def _launch(self) -> None:
        program = self._program([*self.command(), *self.extra_args])
        with self._lock:
            if self._closed:
                raise DevstackError(f"{self.name} is closed: make a new one")
            if self.record is None:
                self._process = spawn_tied(program)
                atexit.register(self.close)
            else:
                self._process = spawn_detached(program, self.record)
            self._identity = identify(self._process.pid)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            code = self._process.poll() if self._process else None
            if code is not None:
                reason = f"{self.name} ended with exit code {code} before it was ready"
                raise ServerStartError(reason, self.log)
            try:
                if self.is_ready():
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                reason = f"{self.name} was not ready after {self.timeout:g} s"
                raise ServerStartError(reason, self.log)
            time.sleep(READY_POLL_SECONDS)

    def _end(self, number: signal.Signals) -> None:
        if not self.running or self._identity is None or not self._is_owner:
            return
        below = descendants(self._identity.pid)
        send(self._identity, number)
        self.resume()
        if not wait_gone([self._identity, *below], STOP_SECONDS):
            kill_tree(self._identity)
            for process in below:
                send(process, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal_all(self, number: signal.Signals) -> None:
        if self._identity is not None and self.running and self._is_owner:
            for process in (self._identity, *descendants(self._identity.pid)):
                send(process, number)
