"""`python -m devstack`: a stack that survives the command, and goes without a trace."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dotenv import dotenv_values

from devstack.folders import PROJECT
from devstack.proctree import ProcessId, identify, is_alive, wait_gone
from devstack.state import State, load_state

FOREIGN = {
    "PREFETCH_DEV_MONGODB_URL": "mongodb://me:hush@bank.example/",
    "PREFETCH_DEV_MARIADB_URL": "mysql+pymysql://bank.example/",
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "devstack", *arguments]


def clean_environ(**environ: str) -> dict[str, str]:
    """This process's environment without addresses of servers, and with these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFETCH_", "PREFECT_"))}
    return {**kept, **environ}


def devstack(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=PROJECT,
        env=clean_environ(**environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "dev stack"
    devstack("down", "--folder", str(tmp_path / "dev stack"))


def test_up_status_down(folder: Path) -> None:
    at = ("--folder", str(folder))
    assert devstack("status", *at).returncode == 3

    first = devstack("up", "--no-prefect", *at)
    assert first.returncode == 0, first.stderr
    (env_file := folder.parent / "env").write_text(first.stdout)
    addresses = dotenv_values(env_file)
    url = addresses["PREFETCH_DEV_POSTGRES_URL"] or ""
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    shell = subprocess.run(
        ["sh", "-c", 'eval "$1"; printf %s "$PREFETCH_DEV_MONGODB_URL"', "sh", first.stdout],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == addresses["PREFETCH_DEV_MONGODB_URL"]

    second = devstack("up", "--no-prefect", *at)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "it is up already" in second.stderr

    more = devstack("up", *at)
    assert (more.returncode, more.stdout) == (1, "")
    assert "it is up without prefect" in more.stderr

    said = devstack("status", *at)
    assert said.returncode == 0
    assert url in said.stdout
    state = load_state(folder)
    assert state is not None
    assert stat.S_IMODE((folder / "state.json").stat().st_mode) == 0o600

    ended = devstack("down", *at)
    assert "postgres" in ended.stderr
    assert not any(is_alive(process) for process in state.processes.values())
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert "nothing was up" in devstack("down", *at).stderr


def test_urls_of_ones_own_are_neither_printed_nor_kept(folder: Path) -> None:
    done = devstack("up", "--no-prefect", "--folder", str(folder), **FOREIGN)
    assert done.returncode == 0, done.stderr
    assert "PREFETCH_DEV_MONGODB_URL names a server of your own" in done.stderr
    assert "MONGODB" not in done.stdout
    assert "hush" not in done.stdout + done.stderr + (folder / "state.json").read_text()


def test_a_dead_server_is_reported_and_down_clears_up(folder: Path) -> None:
    at = ("--folder", str(folder))
    assert devstack("up", "--no-prefect", *at, **FOREIGN).returncode == 0
    state = load_state(folder)
    assert state is not None
    os.kill(state.processes["redis"].pid, signal.SIGKILL)
    assert wait_gone([state.processes["redis"]], seconds=20)
    said = devstack("status", *at)
    assert said.returncode == 3
    assert "redis     has ended" in said.stdout
    again = devstack("up", "--no-prefect", *at, **FOREIGN)
    assert again.returncode == 1
    assert "redis no longer runs" in again.stderr
    assert devstack("down", *at).returncode == 0
    assert devstack("up", "--no-prefect", *at, **FOREIGN).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_up_cut_short_leaves_nothing_for_long(folder: Path, number: signal.Signals) -> None:
    at = ("--folder", str(folder))
    process = subprocess.Popen(
        command("up", "--no-prefect", *at),
        cwd=PROJECT,
        env=clean_environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not started(folder):
        time.sleep(0.01)
    seen = started(folder)
    process.send_signal(number)
    assert process.wait(20) != 0
    if number == signal.SIGKILL:
        devstack("down", *at)
    assert wait_gone(seen, seconds=20)
    assert not list(folder.glob("*/data"))


def started(folder: Path) -> list[ProcessId]:
    state = load_state(folder) if (folder / "state.json").exists() else None
    return list(state.processes.values()) if state else []


def test_down_leaves_a_foreign_process_alone(folder: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    folder.mkdir()
    State(ready=True, processes={"redis": ProcessId(me.pid, me.started - 1, me.boot)}).save(folder)
    assert devstack("down", "--folder", str(folder)).returncode == 0
    assert not (folder / "state.json").exists()


def test_up_refuses_a_folder_that_holds_something_else(folder: Path) -> None:
    (folder / "redis").mkdir(parents=True)
    done = devstack("up", "--no-prefect", "--folder", str(folder))
    assert done.returncode == 1
    assert "was not made by 'up'" in done.stderr
    assert (folder / "redis").is_dir()
    devstack("down", "--folder", str(folder))
    assert (folder / "redis").is_dir()


def test_a_broken_state_file_is_one_clear_line(folder: Path) -> None:
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"version": 99}))
    done = devstack("status", "--folder", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    (folder / "state.json").unlink()
