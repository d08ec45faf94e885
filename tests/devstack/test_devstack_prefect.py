"""The Prefect server: its API, and a UI that calls the right port."""

import json
import urllib.request
from pathlib import Path

import pytest

from devstack import Stack
from devstack.proctree import identify


def test_prefect_server_answers_and_serves_its_ui(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The caller's own settings must not reach the server.
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "1")
    with Stack.start(tmp_path / "s", ["prefect"], environ={}) as stack:
        url = stack.urls["prefect"]
        pid = stack.servers["prefect"].pid
        base = url.removesuffix("/api")
        with urllib.request.urlopen(f"{base}/ui-settings") as answer:
            assert json.load(answer)["api_url"] == url
        with urllib.request.urlopen(base) as page:
            assert b"<html" in page.read()
        flow = urllib.request.Request(
            f"{url}/flows/", b'{"name": "nightly"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(flow) as answer:
            assert json.load(answer)["name"] == "nightly"
    assert identify(pid) is None
