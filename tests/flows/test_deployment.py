"""The nightly deployment: deployed from prefect.yaml, run by a worker, seen through the API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
import sqlalchemy as sa
import yaml
from conftest import ROOT, child_environ
from oracle import documents, without_epoch

from devstack import RedisServer, Stack
from devstack.proctree import descendants
from transforms.slots import buckets_of

PREFECT = str(Path(sys.executable).with_name("prefect"))
DECLARED = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
POOL = "profiles"
CONFIG = "examples/berka/pipeline.yaml"
USERS = 5369
DEADLINE_S = 120

LINES = 3_000
LEAVERS = 10
GONE = f"client_id <= {LEAVERS}"
BUCKETS = 16
THREADS = 2
PIPELINE = f"""\
profile:
  {{name: lines, key: "line:{{user_id}}", credential_key: "line-credential:{{user_id}}",
   anchor: core.client, user_id: {{type: integer}}, buckets: {BUCKETS}}}
guard: {{max_changed_share: 1}}
sources: {{core: {{kind: sql, url: "${{LINES_URL}}"}}}}
datasets:
  core.client:
    {{table: lines_client, user_id: client_id, into: ".", fields: {{name: {{}}, pin: {{class: secret}}}}}}
"""

Run = Callable[..., dict[str, Any]]


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

    def newest(self, deployment: str) -> dict[str, Any]:
        """The last run of a deployment that was started by hand."""
        there = self.get(f"/deployments/name/{deployment}/{deployment}")
        runs = self.find(
            "flow_runs",
            deployments={"id": {"any_": [there["id"]]}},
            flow_runs={"state": {"type": {"not_any_": ["SCHEDULED"]}}},
            sort="START_TIME_DESC",
        )
        return runs[0]

    def artifacts(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.find("artifacts", artifacts={"flow_run_id": {"any_": [run["id"]]}})

    def logs(self, run: dict[str, Any]) -> list[str]:
        mine = {"flow_run_id": {"any_": [run["id"]]}}
        return [entry["message"] for entry in self.find("logs", logs=mine)]

    def wait_for_log(self, run: dict[str, Any], text: str) -> None:
        until = time.monotonic() + DEADLINE_S
        while text not in self.logs(run):
            assert time.monotonic() < until, self.logs(run)
            time.sleep(0.2)

    def wait_for_end(self, run: dict[str, Any]) -> tuple[str, str]:
        """Type and name of the state in which a run ends."""
        until = time.monotonic() + DEADLINE_S
        while True:
            state = self.get(f"/flow_runs/{run['id']}")["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
                return state["type"], state["name"]
            assert time.monotonic() < until, state
            time.sleep(0.1)


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
    run = deployed.newest("nightly")
    assert run["state"]["type"] == "COMPLETED"
    assert run["name"].startswith("nightly 20")
    assert set(run["tags"]) >= {"profiles", "nightly"}
    assert run["work_pool_name"] == POOL

    artifacts = {a["type"]: a for a in deployed.artifacts(run)}
    assert artifacts["progress"]["data"] == 100
    assert artifacts["markdown"]["key"] == "report-berka-nightly"
    title = artifacts["markdown"]["data"].partition("\n")[0]
    assert title.startswith("# berka: ")
    assert title.endswith("success, 5,369 users")
    lines = deployed.logs(run)
    assert any(line.startswith("core: 20684 rows in ") for line in lines), "no counts in the logs"

    assert len(documents(profiles.url)) == USERS


def test_a_backfill_of_one_user(
    deployed: Prefect, worker: subprocess.Popen[bytes], profiles: RedisServer
) -> None:
    with redis.Redis.from_url(profiles.url) as client:
        client.execute_command("DEL", "profile:7")
    told = deployed.command(
        *("deployment", "run", "backfill/backfill", "--watch"),
        *("--param", f"config={CONFIG}", "--param", 'select={"users": ["7"]}'),
    )
    assert "finished successfully" in told
    run = deployed.newest("backfill")
    assert (run["name"], run["state_type"]) == ("backfill 1 user", "COMPLETED")
    [report] = [a for a in deployed.artifacts(run) if a["type"] == "markdown"]
    assert report["data"].startswith("# berka: backfill (1 user) success, 1 user\n")
    found = documents(profiles.url)
    assert len(found) == USERS
    assert found["7"]["_meta"]["epoch"] > found["8"]["_meta"]["epoch"]


class Lines:
    """A bank of one table, all of whose users have just changed, and a run that loads it."""

    def __init__(self, run: Run, stack: Stack, folder: Path, profiles: RedisServer) -> None:
        url = sa.engine.make_url(stack.urls["postgres"]).set(drivername="postgresql+psycopg")
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.environ = {
            "LINES_URL": url.render_as_string(hide_password=False),
            "REDIS_URL": profiles.url,
            "PREFETCH_BATCH_DOCUMENTS": "1",
            "PREFETCH_LOAD_THREADS": str(THREADS),
            "PREFETCH_FENCE_ALIVE_S": "1",
        }
        self.config = folder / "lines.yaml"
        self.config.write_text(PIPELINE, encoding="utf-8")
        self.client = redis.Redis.from_url(profiles.url)
        self._run, self._url = run, profiles.url
        self.sql(
            "DROP TABLE IF EXISTS lines_client; CREATE TABLE lines_client AS SELECT n AS client_id,"
            f" 'old' AS name, 'pin' AS pin FROM generate_series(1, {LINES}) n"
        )
        self.run()
        self.sql(f"UPDATE lines_client SET name = 'new'; DELETE FROM lines_client WHERE {GONE}")

    def sql(self, text: str) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql(text)

    def run(self, **more: str) -> dict[str, Any]:
        """A nightly run in this process."""
        return self._run(self.config, {**self.environ, **more})

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        return documents(self._url, "line:")

    def start(self, prefect: Prefect) -> None:
        """Lets the worker begin a run, and Redis stop taking writes in the middle of its load."""
        arguments = [f"--job-variable=env.{name}={value}" for name, value in self.environ.items()]
        prefect.command(
            "deployment", "run", "nightly/nightly", "--param", f"config={self.config}", *arguments
        )
        ids = pl.Series(range(1, LINES + 1))
        bucket_of = buckets_of(ids, "line:{user_id}", BUCKETS)
        third = next(i for i, bucket in zip(ids, bucket_of, strict=True) if bucket == 3)
        until = time.monotonic() + DEADLINE_S
        while self.client.execute_command("JSON.GET", f"line:{third}", "$.name") != b'["new"]':
            assert time.monotonic() < until, "the load never began"
        self.client.execute_command("CLIENT", "PAUSE", 1000 * DEADLINE_S, "WRITE")

    def go_on(self) -> None:
        self.client.execute_command("CLIENT", "UNPAUSE")

    def repeated(self) -> None:
        """What was left is whole, and another run writes just what is not yet new."""
        left = self.documents
        names = Counter(d["name"] for d in left.values())
        assert set(names) == {"old", "new"}
        assert len(left) == LINES, "users were swept"
        assert len(documents(self._url, "line-credential:")) == LINES
        report = self.run(PREFETCH_FENCE_WAIT_S="2")
        gone = sum(left[str(user)]["name"] == "old" for user in range(1, LEAVERS + 1))
        assert gone == report["removed"] == LEAVERS
        assert report["updated"] == names["old"] - gone
        assert report["unchanged"] == names["new"]
        final = self.documents
        assert {d["name"] for d in final.values()} == {"new"}
        for user, document in left.items():
            if document["name"] == "new":
                assert without_epoch({"": document}) == without_epoch({"": final[user]})


@pytest.fixture
def lines(run: Run, stack: Stack, tmp_path: Path, profiles: RedisServer) -> Iterator[Lines]:
    made = Lines(run, stack, tmp_path, profiles)
    try:
        yield made
    finally:
        made.go_on()
        made.client.close()


def test_a_cancelled_run_stops_within_a_batch(
    deployed: Prefect, worker: subprocess.Popen[bytes], lines: Lines
) -> None:
    lines.start(deployed)
    run = deployed.newest("nightly")
    before = sum(d["name"] == "new" for d in lines.documents.values())
    deployed.command("flow-run", "cancel", run["id"])
    deployed.wait_for_log(run, "stopped: what is under way ends with its batch")
    lines.go_on()
    assert deployed.wait_for_end(run) == ("CANCELLED", "Cancelled")
    after = sum(d["name"] == "new" for d in lines.documents.values())
    # On the connection of each thread one batch (of one user) was under way, and its answer due.
    assert before <= after <= before + 2 * THREADS
    [report] = [a for a in deployed.artifacts(run) if a["type"] == "markdown"]
    assert "the run was stopped from outside; what it wrote is whole" in report["data"]
    lines.repeated()


def test_a_killed_run_has_crashed_and_is_repeated(
    deployed: Prefect, worker: subprocess.Popen[bytes], lines: Lines
) -> None:
    lines.start(deployed)
    run = deployed.newest("nightly")
    os.kill(_child_with(worker.pid, run["id"]), signal.SIGKILL)
    assert deployed.wait_for_end(run) == ("CRASHED", "Crashed")
    lines.go_on()
    lines.repeated()


def _child_with(parent: int, run_id: str) -> int:
    """The process of a run: the deepest one below the worker whose environment names it."""
    found = []
    for process in descendants(parent):
        environ = Path(f"/proc/{process.pid}/environ").read_bytes()
        if run_id.encode() in environ:
            found.append(process.pid)
    return found[-1]


def test_the_worker_ends(worker: subprocess.Popen[bytes]) -> None:
    os.kill(worker.pid, signal.SIGINT)
    assert worker.wait(DEADLINE_S) == 0
