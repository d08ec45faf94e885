"""The nightly deployment: deployed from prefect.yaml, run by a worker, seen through the API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, child_environ
from oracle import documents

from devstack import RedisServer

PREFECT = str(Path(sys.executable).with_name("prefect"))
DECLARED = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
POOL = "profiles"
CONFIG = "examples/berka/pipeline.yaml"
USERS = 5369
DEADLINE_S = 120


class Prefect:
    """Prefect's commands and its API, as an operator has them."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self._url, self.environ = url, environ

    def command(self, *arguments: str) -> str:
        """What a command prints; it must succeed, and has nobody to ask."""
        ended = subprocess.run(
            [PREFECT, *arguments],
            env=self.environ,
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}") as answer:
            return json.load(answer)

    def find(self, kind: str, **filters: Any) -> list[dict[str, Any]]:
        """All objects of a kind that a filter leaves."""
        body = json.dumps(filters).encode()
        head = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self._url}/{kind}/filter", body, head)
        with urllib.request.urlopen(asked) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment")


@pytest.fixture(scope="module")
def profiles(folder: Path) -> Iterator[RedisServer]:
    with RedisServer(folder / "redis").start() as server:
        yield server


@pytest.fixture(scope="module")
def deployed(
    folder: Path, profiles: RedisServer, berka: Mapping[str, str], prefect_url: str
) -> Prefect:
    """A Prefect server with the work pool and the deployment."""
    environ = child_environ(
        **berka,
        REDIS_URL=profiles.url,
        PREFECT_API_URL=prefect_url,
        PREFECT_HOME=str(folder / "prefect"),
        PREFETCH_STAGE_DIR=str(folder / "stage"),
        DO_NOT_TRACK="1",
    )
    prefect = Prefect(prefect_url, environ)
    prefect.command("work-pool", "create", "--type", "process", POOL)
    prefect.command("--no-prompt", "deploy", "--all")
    return prefect


@pytest.fixture(scope="module")
def worker(folder: Path, deployed: Prefect) -> Iterator[subprocess.Popen[bytes]]:
    log = folder / "worker.log"
    command = [PREFECT, "worker", "start", "--pool", POOL]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=deployed.environ, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        ) as child,
    ):
        try:
            until = time.monotonic() + DEADLINE_S
            while b"started!" not in log.read_bytes():
                assert child.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared["name"])
def test_the_server_has_what_is_declared(deployed: Prefect, declared: dict[str, Any]) -> None:
    flow = declared["entrypoint"].partition(":")[2]
    found = deployed.get(f"/deployments/name/{flow}/{declared['name']}")
    for name in ("description", "entrypoint", "tags", "parameters"):
        assert found[name] == declared[name], name
    schedules = declared.get("schedules", [])
    assert len(found["schedules"]) == len(schedules)
    for there, here in zip(found["schedules"], schedules, strict=True):
        assert {**there["schedule"], **there}.items() >= here.items()
    limit = declared.get("concurrency_limit", {"limit": None})
    assert (found["global_concurrency_limit"] or {}).get("limit") == limit["limit"]
    options = found["concurrency_options"] or {}
    assert options.get("collision_strategy") == limit.get("collision_strategy")
    assert found["work_pool_name"] == declared["work_pool"]["name"] == POOL
    assert found["work_queue_name"] == declared["work_pool"]["work_queue_name"]
    assert deployed.get(f"/work_pools/{POOL}")["type"] == "process"


def test_a_worker_runs_it(
    deployed: Prefect, worker: subprocess.Popen[bytes], profiles: RedisServer
) -> None:
    told = deployed.command(
        "deployment", "run", "nightly/nightly", "--param", f"config={CONFIG}", "--watch"
    )
    assert "finished successfully" in told
    deployment = deployed.get("/deployments/name/nightly/nightly")
    (run,) = deployed.find(
        "flow_runs",
        deployments={"id": {"any_": [deployment["id"]]}},
        flow_runs={"state": {"type": {"not_any_": ["SCHEDULED"]}}},
    )
    assert run["state"]["type"] == "COMPLETED"
    assert run["name"].startswith("nightly 20")
    assert set(run["tags"]) >= {"profiles", "nightly"}
    assert run["work_pool_name"] == POOL

    mine = {"flow_run_id": {"any_": [run["id"]]}}
    artifacts = {a["type"]: a for a in deployed.find("artifacts", artifacts=mine)}
    assert artifacts["progress"]["data"] == 100
    assert artifacts["markdown"]["key"] == "report-berka-nightly"
    title = artifacts["markdown"]["data"].partition("\n")[0]
    assert title.startswith("# berka: ")
    assert title.endswith("success, 5,369 users")
    lines = [entry["message"] for entry in deployed.find("logs", logs=mine)]
    assert any(line.startswith("core: 20684 rows in ") for line in lines), "no counts in the logs"

    assert len(documents(profiles.url)) == USERS

    os.kill(worker.pid, signal.SIGINT)
    assert worker.wait(DEADLINE_S) == 0
