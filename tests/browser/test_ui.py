"""The Prefect UI, in a real browser: what happened is seen at once, and nothing personal is."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import psycopg
import pytest
import redis
from backfill_form import BackfillForm, read_report, watch
from chromium import PATIENCE_S, Browser
from prefect_api import KINDS, ask, events, everything
from ui_scene import EDITED, USERS, Scene

from core.acceptance import Acceptance
from core.selection import Selection
from devstack.bank.state import FIRST_ID
from devstack.bank.words import CANARY
from devstack.demo.kept import POOL
from devstack.demo.runs import script
from devstack.folders import PROJECT

USER = str(FIRST_ID + 21)
FLOWS = ("nightly", "incremental", "backfill", "verify")


def _plain(markdown: str) -> str:
    return " ".join(markdown.replace("`", "").split())


def _artifact(scene: Scene, key: str, run: dict[str, Any]) -> str:
    """The path of the page of a run's report."""
    (made,) = [
        artifact
        for artifact in everything(scene.url, "artifacts")
        if (artifact["key"], artifact["flow_run_id"]) == (key, run["id"])
    ]
    return f"/artifacts/artifact/{made['id']}"


def _runs(scene: Scene) -> list[dict[str, Any]]:
    runs = [run for run in everything(scene.url, "flow_runs") if run["state_type"] != "SCHEDULED"]
    return sorted(runs, key=lambda run: str(run["start_time"]))


def test_the_runs_say_what_and_how(scene: Scene, browser: Browser) -> None:
    runs = _runs(scene)
    states = [(run["name"].split()[0], run["state_name"]) for run in runs]
    assert states == [("nightly", "Completed"), ("verify", "Completed"), ("nightly", "Held")]
    names = [run["name"] for run in runs]
    text = browser.open("/runs", *names, "Completed", "Held")
    for tag in ("profiles", "nightly", "verify"):
        assert f" {tag}" in text


def test_progress_is_seen_while_it_runs(scene: Scene) -> None:
    assert any(f"Progress: {told:g}%" in scene.halfway for told in scene.progress)


def test_a_run_in_one_look(scene: Scene, browser: Browser) -> None:
    run = _runs(scene)[0]
    page = f"/runs/flow-run/{run['id']}"
    browser.open(page, run["name"], "Completed", "profiles", "nightly")
    browser.turn_to("Artifacts", "report-demo-bank-nightly", "buckets done")
    tasks = (
        "preflight: the file, the sources, Redis",
        "open the snapshots of all sources",
        "extract cards",
        "extract engagement",
        "link lending.loan",
        "settle where rows and users end",
        "guard: do the rows look right",
        "load buckets 0-31",
        "check buckets 32-63",
        "sweep the users who left",
        "tell the lineage of the profiles",
    )
    browser.turn_to("Task Runs", *tasks)


def test_the_report_has_what_matters_first(scene: Scene, browser: Browser) -> None:
    report = scene.first
    path = _artifact(scene, "report-demo-bank-nightly", _runs(scene)[0])
    title = f"demo_bank: nightly success, {report['users']:,} users"
    text = browser.open(path, title, "Quarantine")
    quarantined = sum(report["quarantined"].values())
    figures = (report["users"], report["created"], 0, 0, 0, report["held"], report["checked"])
    assert report["held"] > 0
    assert (
        "users created updated unchanged removed held checked quarantined "
        + " ".join(f"{figure:,}" for figure in (*figures, quarantined))
    ) in text
    for name, ends in report["datasets"].items():
        filtered, bad = (sum(ends[end].values()) for end in ("filtered", "quarantined"))
        row = (ends["rows"], ends["copies"], ends["placed"], ends["reference"], filtered, bad)
        assert f"{name} {' '.join(f'{figure:,}' for figure in row)}" in text
        for reason, count in ends["quarantined"].items():
            assert f"{name} {reason} {count:,}" in text


def test_a_run_that_the_guard_stopped_is_held(scene: Scene, browser: Browser) -> None:
    run = _runs(scene)[2]
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Held")
    assert run["state"]["message"] == scene.held["error"]
    assert "source engagement: engagement.devices has 0 rows" in scene.held["error"]
    browser.open(f"/runs/flow-run/{run['id']}", run["name"], "Held")
    path = _artifact(scene, "report-demo-bank-nightly", run)
    browser.open(path, "demo_bank: nightly failed, 0 users", scene.held["error"])


def test_a_repair_and_its_parent_lead_to_each_other(scene: Scene, browser: Browser) -> None:
    run = _runs(scene)[1]
    repair = scene.repaired["repair"]
    path = _artifact(scene, "report-demo-bank-backfill", run)
    browser.open(path, f"backfill ({len(EDITED)} users) success", scene.repaired["run"], repair)
    assert browser.links("verify run") == ["/artifacts/key/report-demo-bank-verify"]
    path = _artifact(scene, "report-demo-bank-verify", run)
    browser.open(path, repair, f"damaged {len(EDITED)}")
    assert browser.links("backfill run") == ["/artifacts/key/report-demo-bank-backfill"]
    browser.open(browser.links("backfill run")[0], run["name"])


def test_the_lineage_names_sources_and_no_hosts(scene: Scene, browser: Browser) -> None:
    told = events(scene.url, "prefect.asset.materialization")
    newest, oldest = told
    assert {e["resource"]["prefect.resource.id"] for e in told} == {"redis://demo_bank/profile"}
    assert (newest["payload"]["kind"], oldest["payload"]["kind"]) == ("backfill", "nightly")
    assert oldest["payload"]["users"] == scene.first["users"]
    origins = {
        "postgresql://core/customer",
        "postgresql://cards/purchase",
        "mysql://lending/loan",
        "mongodb://engagement/wish_list",
    }
    page = f"/events/event/{oldest['occurred'][:10]}/{oldest['id']}"
    text = browser.open(page, "Asset materialization succeeded", *origins)
    assert "127.0.0.1" not in text


def _helped(flow: str) -> Iterator[str]:
    """The help of every parameter: from the flow's docstring, and from the models of two."""
    made = getattr(import_module(f"flows.{flow}"), flow)
    models = {"select": Selection, "accept": Acceptance}
    told = inspect.getdoc(made.fn) or ""
    for name in inspect.signature(made.fn).parameters:
        (line,) = [line for line in told.splitlines() if line.strip().startswith(f"{name}: ")]
        yield line.partition(": ")[2]
        if name in models:
            yield from (str(f.description) for f in models[name].model_fields.values())


@pytest.mark.parametrize("flow", FLOWS)
def test_a_deployment_explains_itself(scene: Scene, browser: Browser, flow: str) -> None:
    there = ask(scene.url, f"/deployments/name/{flow}/{flow}")
    page = f"/deployments/deployment/{there['id']}"
    browser.open(page, flow)
    browser.turn_to("Description", _plain(there["description"]))
    helped = [_plain(text) for text in _helped(flow)]
    assert len(helped) >= 3
    browser.open(f"{page}/run", *helped)


@pytest.fixture(scope="module")
def worker(scene: Scene) -> Iterator[None]:
    command = [script("prefect"), "worker", "start", "--pool", POOL]
    with (
        (scene.logs / "worker.log").open("wb") as output,
        subprocess.Popen(
            command, env=scene.environ, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT
        ) as child,
    ):
        try:
            yield
        finally:
            child.terminate()
            child.wait(PATIENCE_S)


def test_a_backfill_by_its_form(scene: Scene, browser: Browser, worker: None) -> None:
    url = scene.environ["DEMO_CORE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as core:
        core.execute("UPDATE customer SET city = 'Newtown' WHERE customer_id = %s", (USER,))

    form = BackfillForm(browser, scene.url)
    form.fill_in(USER)
    run = form.start()
    shown = watch(browser, run)
    for tag in (" backfill ", " profiles "):
        assert tag in shown
    text = read_report(browser)
    assert "demo_bank: backfill (1 user) success, 1 user" in text
    assert (
        "users created updated unchanged removed held checked quarantined 1 0 1 0 0 0 2 0"
    ) in text

    with redis.Redis.from_url(scene.redis_url) as client:
        found = client.execute_command("JSON.GET", f"profile:{USER}", "$.identity.address.city")
        profile = client.execute_command("JSON.GET", f"profile:{USER}")
    assert found == b'["Newtown"]'
    assert CANARY.lower() in profile.decode().lower()
    seen = "".join(browser.seen.values()).lower()
    assert CANARY.lower() not in seen
    assert "newtown" not in seen


def test_nothing_personal_anywhere(scene: Scene, browser: Browser) -> None:
    with redis.Redis.from_url(scene.redis_url) as client:
        keys = [f"profile:{user}" for user in range(FIRST_ID, FIRST_ID + USERS)]
        profiles = client.execute_command("JSON.MGET", *keys, "$")
    assert sum(CANARY.lower() in str(each).lower() for each in profiles) > USERS * 0.9

    for run in _runs(scene):
        browser.open(f"/runs/flow-run/{run['id']}", run["name"])
        browser.turn_to("Logs", "Beginning flow run")
    for page, expected in (
        ("/dashboard", "Flow Runs"),
        ("/artifacts", "report-demo-bank-nightly"),
        ("/events", "Event Feed"),
    ):
        browser.open(page, expected)
    places = {f"page {path}": text.encode() for path, text in browser.seen.items()}
    assert len(places) >= 9
    for kind in KINDS:
        places[f"api {kind}"] = str(everything(scene.url, kind)).encode()
    places["api events"] = str(events(scene.url)).encode()
    for folder in (scene.prefect, scene.logs):
        for path in folder.rglob("*"):
            if path.is_file():
                places[f"file {path.name}"] = path.read_bytes()
    assert {"file prefect.db", "file server.log", "file first.log"} <= set(places)
    assert any(b"report-demo-bank-nightly" in places[name] for name in places if ".db" in name)

    found = [name for name, text in places.items() if CANARY.lower().encode() in text.lower()]
    assert found == []
