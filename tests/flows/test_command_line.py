"""The ``prefetch`` command as people and machines call it: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, child_environ
from oracle import documents

from devstack import RedisServer
from devstack.ports import PortLease
from tests.forked import Forks

PREFETCH = str(Path(sys.executable).with_name("prefetch"))
SAMPLE = ROOT / "examples/sample_analytics/pipeline.yaml"
USER = "5ca4bbcea2dd94ee58162a68"
WAITING = """
import os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import flows
threading.Timer(20, os._exit, [0]).start()
lock = threading.Lock()
lock.acquire()
try:
    print("waiting", flush=True)
    lock.acquire()
except KeyboardInterrupt:
    os._exit(1)
"""
CANARY = "c4nary-of-a-password"
DEADLINE_S = 120
KEYS = {
    "status",
    "epoch",
    "users",
    "created",
    "updated",
    "unchanged",
    "superseded",
    "quarantined",
    "sources",
    "seconds",
}
STEPS = ["preflight", "extract", "link", "guard", "load", "check", "sweep"]

DAMAGED = f"""
import os, redis
from flows import checking, command_line
check = checking.check_bucket
def damaged(*args, **more):
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.delete("profile:{USER}")
    return check(*args, **more)
checking.check_bucket = damaged
command_line.main()
"""

Ended = subprocess.CompletedProcess[str]
Prefetch = Callable[..., Ended]
Bank = Mapping[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("command_line")


@pytest.fixture(scope="module")
def bank(folder: Path, sample_analytics: Bank) -> Iterator[dict[str, str]]:
    """The environment of all commands: the product lines, and a Redis of this module's own."""
    with RedisServer(folder / "redis").start() as server:
        yield child_environ(
            **sample_analytics,
            REDIS_URL=server.url,
            PREFECT_HOME=str(folder / "prefect"),
            PREFETCH_STAGE_DIR=str(folder / "stage"),
            PREFETCH_EXTRACT_ATTEMPTS="1",
        )


@pytest.fixture(scope="module")
def config(folder: Path) -> str:
    """The example's pipeline file, with a secret in it."""
    text = SAMPLE.read_text(encoding="utf-8")
    file = folder / "pipeline.yaml"
    file.write_text(text.replace("      username:\n", "      username: {class: secret}\n"))
    return str(file)


@pytest.fixture
def prefetch(forks: Forks) -> Prefetch:
    """How ``prefetch`` ends with these arguments."""

    def ended(environ: Bank, *arguments: str, **more: str) -> Ended:
        with forks.prefetch(*arguments, env=environ, **more) as child:
            return child.ended(DEADLINE_S)

    return ended


@pytest.fixture(scope="module")
def first_run(bank: Bank, config: str) -> dict[str, Any]:
    """The report of a run as installed, and without any Prefect server at hand."""
    ended = subprocess.run(
        [PREFETCH, "run", "--config", config, "--json"],
        env=bank,
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "temporary server" in ended.stderr
    (line,) = ended.stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


def test_run_for_machines(first_run: dict[str, Any], bank: Bank) -> None:
    assert first_run.keys() >= KEYS
    assert (first_run["status"], first_run["epoch"], first_run["error"]) == ("success", 1, None)
    assert (first_run["users"], first_run["created"], first_run["checked"]) == (500, 500, 1000)
    assert first_run["quarantined"] == {}
    assert {name: source["rows"] for name, source in first_run["sources"].items()} == {
        "engagement": 500,
        "core": 7129,
        "loyalty": 1141,
    }
    for source in first_run["sources"].values():
        assert source.keys() == {"rows", "as_of", "consistency", "seconds"}
        assert source["consistency"] == "snapshot"
    assert len(documents(bank["REDIS_URL"])) == 500


def test_status_tells_of_the_last_run(
    first_run: dict[str, Any], bank: Bank, config: str, prefetch: Prefetch
) -> None:
    ended = prefetch(bank, "status", "--config", config, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert told.pop("now")["complete"]["run"] == first_run["run"]
    assert told == first_run
    ended = prefetch(bank, "status", "--config", config)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("sample_analytics: success in ")
    for source in first_run["sources"].values():
        assert source["as_of"] in ended.stdout


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def test_show_masks_what_is_personal(
    first_run: dict[str, Any], bank: Bank, config: str, prefetch: Prefetch
) -> None:
    stored = documents(bank["REDIS_URL"])[USER]
    (secret,) = set(_texts(documents(bank["REDIS_URL"], "credential:")[USER]["username"])) - {USER}
    ended = prefetch(bank, "show", "--config", config, USER)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = json.loads(ended.stdout)
    assert shown["user_id"] == shown["_id"] == USER
    assert shown["active"] is True
    assert shown["_meta"] == stored["_meta"]
    assert (shown["name"], shown["address"]) == ("•••", "•••")
    assert [account["limit"] for account in shown["accounts"]] == ["•••"] * 6
    personal = set(
        _texts({k: v for k, v in stored.items() if k not in ("user_id", "_id", "_meta")})
    )
    assert len(personal) > 20
    assert [text for text in {*personal, secret} if f'"{text}"' in ended.stdout] == []

    ended = prefetch(bank, "show", "--config", config, USER, "--unmask", "--json")
    assert ended.returncode == 0
    assert ended.stderr.startswith("audit: ")
    assert USER not in ended.stderr
    (line,) = ended.stdout.splitlines()
    assert json.loads(line) == stored
    assert "username" not in stored
    assert secret not in line


def test_show_an_unknown_user(
    first_run: dict[str, Any], bank: Bank, config: str, prefetch: Prefetch
) -> None:
    ended = prefetch(bank, "show", "--config", config, "0" * 24)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: no such profile\n"


def test_check(bank: Bank, config: str, prefetch: Prefetch) -> None:
    ended = prefetch(bank, "check", "--config", config)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "3 sources, 5 datasets; no mistakes, and the sources have all of it" in ended.stdout
    ended = prefetch(bank, "check", "--config", config, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {"ok": True, "sources": 3, "datasets": 5}
    none = {name: value for name, value in bank.items() if not name.startswith("SAMPLE_")}
    ended = prefetch(none, "check", "--config", config, "--json")
    assert ended.returncode == 2
    problems = json.loads(ended.stdout)["problems"]
    assert [problem.split(": ")[1] for problem in problems] == [
        f"sources → {source} → url" for source in ("engagement", "core", "loyalty")
    ]
    assert ended.stderr == "error: " + "\n".join(problems) + "\n"


def test_check_asks_the_sources(bank: Bank, config: str, folder: Path, prefetch: Prefetch) -> None:
    drifted = folder / "drifted.yaml"
    text = Path(config).read_text().replace("limit: credit_limit", "limit: credit_line")
    drifted.write_text(text.replace("credit_limit: integer", "credit_line: integer"))
    ended = prefetch(bank, "check", "--config", str(drifted), "--offline")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = prefetch(bank, "check", "--config", str(drifted))
    assert (ended.returncode, ended.stdout) == (3, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: source core, dataset core.account: ")
    assert "credit_line" in line


def test_no_status_before_the_first_run(bank: Bank, config: str, prefetch: Prefetch) -> None:
    other = {**bank, "REDIS_URL": bank["REDIS_URL"].replace("/0", "/1")}
    ended = prefetch(other, "status", "--config", config)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: no run of this profile is known to this Redis\n"


def _closed_port() -> int:
    lease = PortLease()
    port = lease.port
    lease.release()
    return int(port)


FAILURES = {
    "setting": (2, "environment variable REDIS_URL: not set; see docs/settings.md"),
    "variable": (2, "the environment variable SAMPLE_CORE_URL is not set"),
    "file": (2, "nowhere.yaml: can't read the pipeline file: No such file or directory"),
    "prefect": (2, "PREFECT_API_URL: no Prefect server answers there"),
    "source": (3, "source core: connection refused"),
    "redis": (4, "redis: INFO failed: no connection"),
    "guard": (5, "source loyalty: loyalty.loyalty_tier has 456 rows, fewer than its min_rows 457"),
    "check": (6, "Redis differs from the stage (1 missing)"),
    "stage": (8, "stage: "),
}


@pytest.fixture(scope="module")
def failures(
    first_run: dict[str, Any],
    bank: Bank,
    config: str,
    prefect_url: str,
    folder: Path,
    forks: Forks,
) -> dict[str, Ended]:
    """Runs that fail, each in its way."""
    bank = {**bank, "PREFECT_API_URL": prefect_url}
    port = _closed_port()
    guarded = folder / "guarded.yaml"
    text = Path(config).read_text()
    guarded.write_text(text.replace("into: tiers[]\n", "into: tiers[]\n    min_rows: 457\n"))
    (folder / "file").touch()
    files = {"file": "nowhere.yaml", "guard": str(guarded)}
    environs: dict[str, dict[str, str]] = {
        "setting": {"REDIS_URL": ""},
        "variable": {"SAMPLE_CORE_URL": ""},
        "prefect": {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"},
        "source": {"SAMPLE_CORE_URL": f"postgresql://u:{CANARY}@127.0.0.1:{port}/x"},
        "redis": {"REDIS_URL": f"redis://u:{CANARY}@127.0.0.1:{port}/0"},
        "stage": {"PREFETCH_STAGE_DIR": str(folder / "file" / "stage")},
    }
    ended = {}
    for name in FAILURES:
        told = ["run", "--config", files.get(name, config), "--json"]
        program = {"program": DAMAGED} if name == "check" else {}
        with forks.prefetch(*told, env={**bank, **environs.get(name, {})}, **program) as child:
            ended[name] = child.ended(DEADLINE_S)
    return ended


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_run(failures: dict[str, Ended], name: str) -> None:
    code, words = FAILURES[name]
    ended = failures[name]
    assert ended.returncode == code
    (line,) = ended.stdout.splitlines()
    report = json.loads(line)
    assert report.keys() >= KEYS
    assert report["status"] == "failed"
    assert words in report["error"]
    assert [told for told in ended.stderr.splitlines() if told.startswith("error: ")] == [
        f"error: {report['error']}"
    ]
    assert "Traceback" not in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.parametrize("arguments", [["run"], ["run", "--colour", "red"]])
def test_a_wrong_argument(bank: Bank, arguments: list[str], prefetch: Prefetch) -> None:
    ended = prefetch(bank, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith("Error: ")


def test_something_unexpected_shows_its_place_and_no_value(
    bank: Bank, config: str, prefetch: Prefetch
) -> None:
    broken = f"""
from flows import command_line, opening
def broken(config): raise KeyError("{CANARY}")
opening.load_plan = broken
command_line.main()
"""
    ended = prefetch(bank, "check", "--config", config, program=broken)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: unexpected KeyError at <string>:3\n"


def _on_a_terminal(environ: Bank, config: str) -> tuple[int, str, str]:
    """The exit code, stdout, and what a terminal on stderr is sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PREFETCH, "run", "--config", config],
        env={**environ, "TERM": "xterm", "COLUMNS": "100"},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        shown = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            shown += read
        os.close(ours)
        assert child.stdout is not None
        out = child.stdout.read()
    return child.returncode, out, shown.decode()


def test_run_for_people(failures: object, bank: Bank, config: str, prefect_url: str) -> None:
    code, out, shown = _on_a_terminal({**bank, "PREFECT_API_URL": prefect_url}, config)
    assert code == 0
    places = [shown.index(step) for step in STEPS]
    assert places == sorted(places)
    last = shown[shown.rindex("preflight") :]
    assert [last.count(f"{step} ") for step in STEPS] == [1] * len(STEPS)
    assert last.count("100%") == len(STEPS)
    assert "INFO" not in shown
    assert out.startswith("sample_analytics: success in ")
    assert "users 500  created 1  updated 0  unchanged 499" in out


def test_ctrl_c_is_heard_while_threads_are_waited_for() -> None:
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"waiting\n"
        while child.poll() is None:
            # again: one that comes just before the lock is waited for is heard with the next
            child.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert child.returncode == 1
