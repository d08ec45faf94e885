"""`up`, `down` and `status`: a stack that survives the command that started it."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from devstack.errors import DevstackError
from devstack.folders import FILE_MODE, private_folder, remove_tree
from devstack.proctree import ProcessId, descendants, is_alive, kill_tree, send, wait_gone
from devstack.services import SERVICES, ServiceName
from devstack.stack import Stack
from devstack.state import FILE, State, load_state

LOCK = "lock"
STOP_SECONDS = 15.0


def up(folder: Path, services: Sequence[ServiceName], environ: Mapping[str, str]) -> State:
    """Start the services and leave them running; those of an earlier `up` where they run.

    Raises:
        DevstackError: an earlier `up` has started fewer servers, or some have died (those
            that run are left alone); the folder holds something else; or a server did not
            start (none of the new ones is left running).
    """
    private_folder(folder)
    with _locked(folder):
        state = load_state(folder)
        if state is not None and state.ready and len(state.dead) < len(state.processes):
            if state.dead:
                gone = ", ".join(state.dead)
                raise DevstackError(f"{gone} no longer runs: go 'down', then 'up' again")
            known = {*state.processes, *state.external, *state.skipped}
            if missing := ", ".join(name for name in services if name not in known):
                raise DevstackError(f"it is up without {missing}: go 'down', then 'up' again")
            return state
        if state is not None:
            # Cut in mid-start, or all ended by a reboot. Without fsync the data are void.
            _remove(folder, state)
        _refuse_foreign(folder, services)
        return _start(folder, services, environ)


def down(folder: Path) -> list[str]:
    """End what `up` has started, remove its data, and name the services ended.

    Raises:
        DevstackError: the state can't be read.
    """
    if not folder.is_dir():
        return []
    with _locked(folder):
        state = load_state(folder)
        if state is None:
            return []
        _remove(folder, state)
        return list(state.processes)


def status(folder: Path) -> State | None:
    """What `up` has started; None where nothing was."""
    return load_state(folder)


def _start(folder: Path, services: Sequence[ServiceName], environ: Mapping[str, str]) -> State:
    external = [name for name in services if environ.get(SERVICES[name].variable)]
    state = State(external=list(external))
    state.save(folder)
    writing = threading.Lock()

    def record(name: ServiceName, process: ProcessId) -> None:
        with writing:
            state.processes[name] = process
            state.save(folder)

    try:
        with terminated_as_exit():
            stack = Stack.start(folder, services, environ, record)
    except BaseException:
        # The logs stay for the reader; the next `up` or `down` clears them.
        state.processes.clear()
        state.save(folder)
        raise
    state.urls = {n: url for n, url in stack.urls.items() if n not in external}
    state.skipped = dict(stack.skipped.items())
    state.ready = True
    state.save(folder)
    return state


def _remove(folder: Path, state: State) -> None:
    _end(state.processes)
    for name in SERVICES:
        remove_tree(folder / name)
    (folder / FILE).unlink(missing_ok=True)


def _end(processes: Mapping[str, ProcessId]) -> None:
    """End the processes, and those below them; by force after 15 s."""
    everyone: list[ProcessId] = []
    for name, process in processes.items():
        if not is_alive(process):
            continue
        everyone += [process, *descendants(process.pid)]
        number = next((SERVICES[n].server.death_signal for n in SERVICES if n == name), None)
        send(process, number or signal.SIGTERM)
        send(process, signal.SIGCONT)
    if not wait_gone(everyone, STOP_SECONDS):
        for process in everyone:
            kill_tree(process)


def _refuse_foreign(folder: Path, services: Sequence[ServiceName]) -> None:
    for name in services:
        if (folder / name).exists():
            raise DevstackError(
                f"{folder / name} was not made by 'up': remove it, or take another --folder"
            )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time; the lock falls with the process."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def terminated_as_exit() -> Iterator[None]:
    """SIGTERM and SIGHUP end the start like Ctrl-C does: what was started is stopped."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
