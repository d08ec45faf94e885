"""A backfill by its form, in a real browser: started, watched, its report read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest
import redis
from backfill_form import BackfillForm, read_report, watch
from chromium import PATIENCE_S, Browser
from ui_scene import Scene

from devstack.bank.state import FIRST_ID
from devstack.bank.words import CANARY
from devstack.demo.kept import POOL
from devstack.demo.runs import script
from devstack.folders import PROJECT

USER = str(FIRST_ID + 21)


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
    assert "demo_bank: backfill (1 user) success, 1 users" in text
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
