"""Every deployment of prefect.yaml can be run: its flow loads and takes its parameters."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_can_be_run(deployment: dict[str, Any]) -> None:
    from prefect import Flow

    file, _, name = deployment["entrypoint"].partition(":")
    assert (ROOT / file).is_file()
    flow = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    needed = {"select": None} if name == "backfill" else {}
    inspect.signature(flow.fn).bind(**deployment["parameters"], **needed)
    assert deployment["description"]
    assert deployment["tags"]
    assert all(schedule["slug"] for schedule in deployment.get("schedules", []))
    assert (ROOT / deployment["parameters"]["config"]).is_file()
