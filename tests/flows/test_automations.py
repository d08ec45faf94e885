"""Alerts: what a real Prefect server sends to a real address when a run goes wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import ROOT, child_environ
from small_bank import SmallBank

from core.errors import GuardStopped, SourceDenied, Unexpected
from devstack import PrefectServer, RedisServer, Stack
from flows.command_line import main
from tests.forked import Forks

LATE = "PREFECT_SERVER_SERVICES_LATE_RUNS"
CANARY = "c4nary-of-a-row"
DEADLINE_S = 180
LOST_S = 10

SLEEPER = """
import time
from flows import command_line, loading
def sleeping(*args):
    print("loading", flush=True)
    time.sleep(600)
loading.load_buckets = sleeping
command_line.main()
"""


class Sink:
    """An address that keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.got.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts?token=s3cret"

    def wait_for(self, run_id: str) -> dict[str, Any]:
        """The alert about a run."""
        until = time.monotonic() + DEADLINE_S
        while True:
            found = [each for each in self.got if each["run"] == run_id]
            if found:
                return found[0]
            assert time.monotonic() < until, f"no alert about {run_id}: {self.got}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    made = Sink()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own: other tests let runs fail without anybody to alert."""
    settings = {f"{LATE}_AFTER_SECONDS": "1", f"{LATE}_LOOP_SECONDS": "1"}
    folder = tmp_path_factory.mktemp("automations")
    with PrefectServer(folder, settings=settings).start() as server:
        yield server.url


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's automations, with less patience."""
    text = (ROOT / "automations.yaml").read_text(encoding="utf-8")
    assert text.count("within: 300") == 1
    made = tmp_path_factory.mktemp("declared") / "automations.yaml"
    made.write_text(text.replace("within: 300", f"within: {LOST_S}"), encoding="utf-8")
    return made


Apply = Callable[..., Result]


@pytest.fixture(scope="module")
def apply(prefect_url: str, sink: Sink) -> Apply:
    """``prefetch automations apply``, in this process: importing Prefect takes longest."""
    from tests.prefect_client import prefect_at

    def called(file: Path, **more: str) -> Result:
        command = ["automations", "apply", "--file", str(file)]
        with prefect_at(prefect_url):
            return CliRunner().invoke(main, command, env={"PREFETCH_ALERT_URL": sink.url, **more})

    return called


@pytest.fixture(scope="module")
def applied(apply: Apply, file: Path) -> str:
    done = apply(file)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def bank(
    stack: Stack,
    tmp_path: Path,
    run: Callable[..., dict[str, Any]],
    target: RedisServer,
    request: pytest.FixtureRequest,
) -> SmallBank:
    database = f"alerts{abs(hash(request.node.name)) % 10**8}"
    return SmallBank(stack, tmp_path, database, run, target)


def _runs(prefect_url: str) -> list[dict[str, Any]]:
    from prefect.client.orchestration import SyncPrefectClient

    with SyncPrefectClient(prefect_url) as client:
        answer = client.request("POST", "/flow_runs/filter", json={"sort": "START_TIME_DESC"})
        found: list[dict[str, Any]] = answer.json()
    return found


def _automations(prefect_url: str) -> list[dict[str, Any]]:
    from prefect.client.orchestration import SyncPrefectClient

    with SyncPrefectClient(prefect_url) as client:
        answer = client.request("POST", "/automations/filter", json={"sort": "NAME_ASC"})
        found: list[dict[str, Any]] = answer.json()
    return found


def test_applying_twice_changes_nothing(
    applied: str,
    apply: Apply,
    file: Path,
    prefect_url: str,
    tmp_path: Path,
) -> None:
    names = [f"profile-prefetch: {what}" for what in ("failed", "held", "late", "heartbeat lost")]
    assert applied.splitlines() == [f"created    {name}" for name in names]
    before = _automations(prefect_url)
    assert [each["name"] for each in before] == sorted(names)
    assert "s3cret" not in json.dumps(before)
    again = apply(file)
    assert again.stdout.splitlines() == [f"unchanged  {name}" for name in names]
    assert _automations(prefect_url) == before

    other = tmp_path / "other.yaml"
    text = file.read_text(encoding="utf-8").replace("heartbeat lost", "silence")
    other.write_text(text.replace('}}: held"', '}}: to be judged"'), encoding="utf-8")
    assert apply(other).stdout.splitlines() == [
        "unchanged  profile-prefetch: failed",
        "updated    profile-prefetch: held",
        "unchanged  profile-prefetch: late",
        "created    profile-prefetch: silence",
        "removed    profile-prefetch: heartbeat lost",
    ]
    assert apply(file).exit_code == 0
    assert [each["name"] for each in _automations(prefect_url)] == sorted(names)


def test_what_is_wrong_is_told(apply: Apply, file: Path, tmp_path: Path) -> None:
    nobody = apply(file, PREFETCH_ALERT_URL="")
    assert nobody.exit_code == 2
    assert "error: nobody to alert: set PREFETCH_ALERT_BLOCK" in nobody.output
    unknown = apply(file, PREFETCH_ALERT_BLOCK="slack-webhook/nowhere")
    assert unknown.exit_code == 2
    assert "Prefect has no block slack-webhook/nowhere" in unknown.output
    bad = tmp_path / "bad.yaml"
    bad.write_text(file.read_text(encoding="utf-8").replace("posture: Reactive", "posture: Lazy"))
    wrong = apply(bad)
    assert wrong.exit_code == 2
    assert "automation profile-prefetch: failed: " in wrong.output


def test_runs_that_fail_or_are_held_alert(
    applied: str, sink: Sink, bank: SmallBank, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import tags

    from flows import settling

    with tags("profiles", "nightly"):
        nowhere = bank.lines["SMALL_URL"].rpartition("/")[0] + "/nowhere"
        with pytest.raises(SourceDenied):
            bank.run(environ={"SMALL_URL": nowhere})
        told = sink.wait_for(_runs(prefect_url)[0]["id"])
        assert told["subject"].startswith("nightly 20")
        assert told["subject"].endswith(": Failed")
        assert told["body"].startswith("source core: ")
        assert told["text"] == f"{told['subject']}\n{told['body']}"
        assert f"/runs/flow-run/{told['run']}" in told["url"]

        bank.sql("TRUNCATE client")
        with pytest.raises(GuardStopped) as stopped:
            bank.run()
        run = _runs(prefect_url)[0]
        assert (run["state_type"], run["state_name"]) == ("FAILED", "Held")
        told = sink.wait_for(run["id"])
        assert told["subject"] == f"{run['name']}: held"
        assert told["body"] == str(stopped.value)

        def broken(*args: Any) -> None:
            raise KeyError(CANARY)

        monkeypatch.setattr(settling, "settle_all", broken)
        with pytest.raises(Unexpected):
            bank.run()
        told = sink.wait_for(_runs(prefect_url)[0]["id"])
        assert told["body"].startswith("unexpected KeyError at test_automations.py:")
    assert CANARY not in json.dumps(sink.got)
    assert CANARY not in json.dumps(_runs(prefect_url))


def test_a_late_run_alerts(applied: str, sink: Sink, prefect_url: str) -> None:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.nightly import nightly

    with SyncPrefectClient(prefect_url) as client:
        client.create_work_pool(WorkPoolCreate(name="nobody", type="process"))
        deployment = client.create_deployment(
            client.create_flow(nightly),
            "forgotten",
            work_pool_name="nobody",
            tags=["profiles", "nightly"],
            parameters={"config": "nowhere.yaml"},
            enforce_parameter_schema=False,
        )
        run = client.create_flow_run_from_deployment(deployment)
    told = sink.wait_for(str(run.id))
    assert told["subject"] == "forgotten: late"
    assert told["body"].endswith("is a worker running?")


def test_a_run_that_nobody_is_left_to_tell_of_has_crashed(
    applied: str, sink: Sink, bank: SmallBank, prefect_url: str, tmp_path: Path, forks: Forks
) -> None:
    environ = child_environ(
        **bank.environ, PREFECT_API_URL=prefect_url, PREFECT_HOME=str(tmp_path / "prefect")
    )
    told = ["run", "--config", str(bank.config), "--json"]
    with forks.prefetch(*told, env=environ, program=SLEEPER) as child:
        try:
            assert child.stdout.readline() == "loading\n"
        finally:
            child.kill()
    run = _runs(prefect_url)[0]
    assert run["state_name"] == "Running"
    told = sink.wait_for(run["id"])
    assert told["subject"] == f"{run['name']}: Crashed"
    assert told["body"] == "Its heartbeat was lost."
    assert _runs(prefect_url)[0]["state_type"] == "CRASHED"
    report = bank.run()
    assert (report["status"], report["created"]) == ("success", 40)
