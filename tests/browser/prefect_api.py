"""What a Prefect server's API tells, page by page."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

MOST = 200
KINDS = ("flows", "flow_runs", "task_runs", "logs", "artifacts", "deployments")


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer to a GET, or with a body to a POST."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def everything(url: str, kind: str) -> list[dict[str, Any]]:
    """All objects of a kind."""
    found: list[dict[str, Any]] = []
    while True:
        some = ask(url, f"/{kind}/filter", {"limit": MOST, "offset": len(found)})
        found += some
        if len(some) < MOST:
            return found


def events(url: str, prefix: str = "") -> list[dict[str, Any]]:
    """All events whose name begins so, newest first."""
    body: dict[str, Any] = {"filter": {"event": {"prefix": [prefix]}} if prefix else {}}
    found = []
    page = ask(url, "/events/filter", {**body, "limit": 50})
    while True:
        found += page["events"]
        if not page["next_page"]:
            return found
        page = ask("", page["next_page"])
