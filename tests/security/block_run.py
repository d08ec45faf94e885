"""A run by a worker that gets its secrets from Secret blocks of Prefect, as the page tells."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.security.grants import ROOT

PREFECT = str(Path(sys.executable).with_name("prefect"))
DEADLINE_S = 300
BUSY_TRIES = 30


def run_by_worker(
    url: str, environ: Mapping[str, str], secret: Mapping[str, str], name: str, config: Path
) -> tuple[str, str]:
    """How a nightly run ends, and what its worker printed.

    Args:
        environ: of the worker; without secrets.
        secret: variables whose values go into blocks, and from there to the run.
        name: of the work pool and the deployment.
    """
    with httpx.Client(base_url=url, timeout=30) as client:
        named = {key: _block(client, f"{name}-{key}", value) for key, value in secret.items()}
        pool = {"name": name, "type": "process", "base_job_template": _template(environ, named)}
        _asked(client, "/work_pools/", pool)
        flow = _asked(client, "/flows/", {"name": "nightly"})
        deployment = {
            "name": name,
            "flow_id": flow["id"],
            "work_pool_name": name,
            "path": str(ROOT),
            "entrypoint": "flows/nightly.py:nightly",
            "parameters": {"config": str(config)},
        }
        made = _asked(client, "/deployments/", deployment)
        started = _asked(client, f"/deployments/{made['id']}/create_flow_run", {})
        output = _worked(client, name, environ, started["id"])
        ended = client.get(f"/flow_runs/{started['id']}").json()
    return str(ended["state"]["type"]), output


def _worked(client: httpx.Client, pool: str, environ: Mapping[str, str], run: str) -> str:
    """What a worker prints while it holds the run; it ends when the run does."""
    command = [PREFECT, "worker", "start", "--pool", pool, "--type", "process"]
    with tempfile.TemporaryFile() as printed:
        worker = subprocess.Popen(
            command, env=environ, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + DEADLINE_S
            while time.monotonic() < deadline:
                state = client.get(f"/flow_runs/{run}").json()["state"]["type"]
                if state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                    break
                time.sleep(0.5)
        finally:
            worker.terminate()
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        printed.seek(0)
        return printed.read().decode(errors="replace")


def _template(environ: Mapping[str, str], named: Mapping[str, str]) -> dict[str, Any]:
    command = ["work-pool", "get-default-base-job-template", "--type", "process"]
    done = subprocess.run(
        [PREFECT, *command], env=environ, text=True, capture_output=True, timeout=60, check=True
    )
    template: dict[str, Any] = json.loads(done.stdout)
    references = {key: f"{{{{ prefect.blocks.secret.{block} }}}}" for key, block in named.items()}
    template["variables"]["properties"]["env"]["default"] = references
    return template


def _block(client: httpx.Client, name: str, value: str) -> str:
    """Makes a block; gives its name, which takes neither capitals nor underscores."""
    name = name.lower().replace("_", "-")
    kind = client.get("/block_types/slug/secret").raise_for_status().json()
    asked = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    [schema, *_] = client.post("/block_schemas/filter", json=asked).raise_for_status().json()
    block = {
        "name": name,
        "data": {"value": value},
        "block_type_id": kind["id"],
        "block_schema_id": schema["id"],
    }
    _asked(client, "/block_documents/", block)
    return name


def _asked(client: httpx.Client, path: str, given: dict[str, Any]) -> dict[str, Any]:
    for _ in range(BUSY_TRIES):
        answer = client.post(path, json=given)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)  # its SQLite is locked by what other runs tell
    made: dict[str, Any] = answer.raise_for_status().json()
    return made
