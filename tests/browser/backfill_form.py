"""A backfill by its form in the Prefect UI: filled in, started, watched, its report read."""

from __future__ import annotations

import time
from typing import Any

from chromium import PATIENCE_S, Browser
from prefect_api import ask

from devstack.demo.runs import CONFIG

REPORT = "report-demo-bank-backfill"


class BackfillForm:
    """The form of the deployment, open in a browser."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._deployment = ask(url, "/deployments/name/backfill/backfill")["id"]
        browser.open(f"/deployments/deployment/{self._deployment}/run", "User ids")
        browser.holds(CONFIG)  # until then it may still be filled with what is given

    def fill_in(self, user: str) -> None:
        """Names a user."""
        self._browser.press("Add item")
        self._browser.write("Users (Optional)", user)
        self._browser.holds(user)

    def start(self) -> dict[str, Any]:
        """Sends the form off; gives the run that it has made."""
        before = self._runs()
        self._browser.press("Submit")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            made = [run for key, run in self._runs().items() if key not in before]
            if made:
                return made[0]
            assert time.monotonic() < deadline, f"no run came of it: {self._browser.text}"
            time.sleep(0.1)

    def _runs(self) -> dict[str, dict[str, Any]]:
        mine = {"deployments": {"id": {"any_": [self._deployment]}}}
        return {run["id"]: run for run in ask(self._url, "/flow_runs/filter", mine)}


def watch(browser: Browser, run: dict[str, Any]) -> str:
    """What the page of a run shows, from its start to a good end."""
    path = f"/runs/flow-run/{run['id']}"
    browser.open(path, "Scheduled for")
    return browser.until("backfill 1 user", "Completed", "Finished in state Completed")


def read_report(browser: Browser) -> str:
    """What the report of the run says whose page is open."""
    browser.turn_to("Artifacts", REPORT)
    browser.press(REPORT)
    return browser.until("Sources", "Rows")
