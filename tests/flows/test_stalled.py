"""A run that sleeps while a newer one loads the same users, and then wakes up in mid-batch."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
from conftest import ROOT, child_environ, make_bank
from oracle import documents

from devstack import RedisServer, Stack
from tests.forked import Forked, Forks

Run = Callable[..., dict[str, Any]]
SAMPLE = ROOT / "examples/sample_analytics/pipeline.yaml"
STALLING = Path(__file__).with_name("stalling.py")
DATABASE = "stalled"
USERS = 500
ALIVE_S = "1"
BATCH = 20
DEADLINE_S = 60


@pytest.fixture(scope="module")
def bank(stack: Stack) -> dict[str, str]:
    return make_bank(stack, "sample_analytics", DATABASE)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "pipeline.yaml"
    text = SAMPLE.read_text(encoding="utf-8")
    file.write_text(text.replace("database: sample_analytics", f"database: {DATABASE}"))
    return file


def rename_everybody(bank: dict[str, str], name: str) -> None:
    """Changes something in each user's profile."""
    with pymongo.MongoClient[dict[str, Any]](bank["SAMPLE_ENGAGEMENT_URL"]) as client:
        client[DATABASE].customers.update_many({}, {"$set": {"name": name}})


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


@contextmanager
def sleeper(forks: Forks, config: Path, environ: dict[str, str], watch: str) -> Iterator[Forked]:
    """A run that has stopped itself just before a batch."""
    told = [str(BATCH), watch, "run", "--config", str(config), "--json"]
    with forks.prefetch(*told, env=environ, program=STALLING.read_text("utf-8")) as child:
        try:
            until = time.monotonic() + DEADLINE_S
            while not _is_stopped(child.pid):
                assert child.poll() is None, "the run ended before it stopped"
                assert time.monotonic() < until, "the run never stopped"
                time.sleep(0.01)
            yield child
        finally:
            child.kill()


def wake(child: Forked) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of a sleeper that goes on."""
    os.kill(child.pid, signal.SIGCONT)
    out, _ = child.communicate(timeout=DEADLINE_S)
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return child.returncode, report


@pytest.mark.parametrize("watch", ["watched", "unwatched"])
def test_a_stalled_run_wakes_after_a_newer_one(
    run: Run,
    bank: dict[str, str],
    config: Path,
    target: RedisServer,
    prefect_url: str,
    tmp_path: Path,
    watch: str,
    forks: Forks,
) -> None:
    rename_everybody(bank, "as it was")
    environ = child_environ(
        **bank,
        REDIS_URL=target.url,
        PREFECT_API_URL=prefect_url,
        PREFECT_HOME=str(tmp_path / "prefect"),
        PREFETCH_STAGE_DIR=str(tmp_path / "stage of the sleeper"),
        PREFETCH_LOAD_THREADS="2",
        PREFETCH_FENCE_ALIVE_S=ALIVE_S,
    )
    with sleeper(forks, config, environ, watch) as child:
        assert len(documents(target.url)) < USERS
        rename_everybody(bank, "as it is")
        newer = run(config, bank, PREFETCH_FENCE_ALIVE_S=ALIVE_S)
        assert (newer["status"], newer["epoch"], newer["users"]) == ("success", 2, USERS)
        loaded = documents(target.url)
        assert {d["name"] for d in loaded.values()} == {"as it is"}
        assert {d["_meta"]["epoch"] for d in loaded.values()} == {2}
        code, report = wake(child)
    assert (code, report["status"], report["epoch"]) == (7, "failed", 1)
    assert "this writer stops" in report["error"] or "this one (epoch 1) stops" in report["error"]
    left = documents(target.url)
    stale = {user for user, d in left.items() if d["name"] == "as it was"}
    if watch == "unwatched":
        assert stale, "the planted bug did nothing: this test proves nothing"
        assert {left[user]["_meta"]["epoch"] for user in stale} == {1}
        return
    assert stale == set()
    assert left == loaded
    again = run(config, bank, PREFETCH_FENCE_ALIVE_S=ALIVE_S, PREFETCH_FENCE_WAIT_S="0")
    assert (again["status"], again["unchanged"]) == ("success", USERS)
