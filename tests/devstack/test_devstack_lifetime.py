"""No server outlives its stack, however the process that started it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from devstack import RedisServer
from devstack.folders import PROJECT
from devstack.proctree import ProcessId, descendants, identify, wait_gone

STACK = """
import sys, time
from pathlib import Path
from devstack import DATABASES, Stack
stack = Stack.start(Path(sys.argv[1]), DATABASES, environ={})
print("up", flush=True)
"""
WAITS = STACK + "time.sleep(60)"
FORGETS = STACK
STARTING = STACK.replace("stack =", "print('starting', flush=True); stack =")


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process that runs the code, after its first line of output."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=PROJECT,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> list[ProcessId]:
    """Signal the process and wait for it; those that were below it."""
    below = descendants(process.pid)
    process.send_signal(number)
    process.communicate(timeout=20)
    return below


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_servers_die_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    below = end(run_python(WAITS, str(tmp_path)), number)
    assert len(below) >= 3
    assert wait_gone(below, seconds=10)


def test_a_kill_in_mid_start_leaves_nothing(tmp_path: Path) -> None:
    process = run_python(STARTING, str(tmp_path))
    time.sleep(0.4)
    below = end(process, signal.SIGKILL)
    assert below
    assert wait_gone(below, seconds=10)


def test_an_interrupted_start_stops_what_was_started(tmp_path: Path) -> None:
    process = run_python(STARTING, str(tmp_path))
    time.sleep(0.4)
    below = end(process, signal.SIGINT)
    assert wait_gone(below, seconds=5)
    assert not list(tmp_path.glob("*/data"))


def test_a_forgotten_stack_is_closed_at_exit(tmp_path: Path) -> None:
    process = run_python(FORGETS, str(tmp_path))
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not list(tmp_path.glob("*/data"))


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, modules=False)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    with server:
        time.sleep(0.1)
        assert server.cli("ping") == "PONG"


def test_a_forked_child_does_not_end_its_parents_server(tmp_path: Path) -> None:
    with RedisServer(tmp_path, modules=False) as server:
        child = os.fork()
        if child == 0:
            server.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert server.cli("ping") == "PONG"


def test_another_process_with_the_pid_is_not_taken_for_ours() -> None:
    me = identify(os.getpid())
    assert me is not None
    earlier = ProcessId(me.pid, me.started - 1, me.boot)
    other_boot = ProcessId(me.pid, me.started, "another boot")
    assert wait_gone([earlier, other_boot], seconds=0)
