"""Looks for canaries wherever a run leaves something: output, Prefect's database and API, disk."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.security.canaries import BREAKS, KEYS, SECRETS, VALUES

PAGE = 200
AROUND = 40


def in_text(text: bytes, place: str, *, keys: bool = True) -> Iterator[str]:
    """Each canary that a text holds, with where and what stands before it."""
    for pattern in (VALUES, SECRETS, BREAKS, *([KEYS] if keys else [])):
        for found in re.finditer(pattern, text):
            before = text[max(0, found.start() - AROUND) : found.end()]
            yield f"{place}: {before!r}"


def in_prefect(url: str, database: Path) -> Iterator[str]:
    """What Prefect has been told: all that its API gives back, and its database as it is on disk."""
    asked = ("logs", "artifacts", "flow_runs", "task_runs", "flow_run_states", "task_run_states")
    asked += ("flows", "deployments", "variables", "block_documents", "work_pools")
    with httpx.Client(base_url=url, timeout=30) as client:
        for what in asked:
            yield from in_text(_all_of(client, what), f"API {what}")
        yield from in_text(_events(client), "API events")
    for file in sorted(database.parent.glob(database.name + "*")):
        yield from in_text(file.read_bytes(), file.name)


def in_folder(folder: Path, allowed: Path, *, modes: bool = True) -> Iterator[str]:
    """What is left on the disk after runs.

    Args:
        allowed: holds quarantines, with keys alone.
        modes: whether to look who may read the files: those of Prefect's home are its own.
    """
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        is_quarantine = file.is_relative_to(allowed)
        yield from in_text(file.read_bytes(), str(file.name), keys=not is_quarantine)
        if modes and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield f"{file.name}: others may read it"
        if file.parent.name.startswith("stage-"):
            yield f"{file.name}: a stage is left"


def _all_of(client: httpx.Client, what: str) -> bytes:
    found = b""
    if what.endswith("_states"):
        return found  # they come with their runs
    for offset in range(0, 1_000_000, PAGE):
        answer = client.post(f"/{what}/filter", json={"limit": PAGE, "offset": offset})
        answer.raise_for_status()
        found += answer.content
        if len(answer.json()) < PAGE:
            break
    return found


def _events(client: httpx.Client) -> bytes:
    answer = client.post("/events/filter", json={"limit": 50})
    found = answer.content
    told: dict[str, Any] = json.loads(answer.content)
    while following := told.get("next_page"):
        answer = client.get(following)
        found += answer.content
        told = answer.json()
    return found
