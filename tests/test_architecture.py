"""The rooms: who may import whom, and how large a module may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "connectors", "transforms", "stage", "store", "flows")
MAY_IMPORT = {
    "core": set(),
    "connectors": {"core"},
    "transforms": {"core"},
    "stage": {"core"},
    "store": {"core"},
    "flows": {"core", "connectors", "transforms", "stage", "store"},
}
DRIVERS = {"sqlalchemy", "psycopg", "pymysql", "pymongo", "bson", "redis"}
MODULES = [
    path for room in (*ROOMS, "devstack", "benchmarks") for path in (ROOT / room).rglob("*.py")
]
MOST_LINES = 300


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        others = _imported(path) & set(ROOMS) - {room}
        assert others <= MAY_IMPORT[room], f"{path.name} imports {others - MAY_IMPORT[room]}"


def test_only_the_edges_know_drivers_and_prefect() -> None:
    allowed = {"connectors": DRIVERS - {"redis"}, "store": {"redis"}, "flows": {"prefect"}}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            known = _imported(path) & (DRIVERS | {"prefect"})
            assert known <= allowed.get(room, set()), f"{room}/{path.name} imports {known}"


def test_transforms_have_no_clock() -> None:
    for path in (ROOT / "transforms").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "time" not in _imported(path) or "import time" not in text, path.name
        assert "now(" not in text, path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_flow_is_named_like_a_library() -> None:
    taken = set(packages_distributions()) | set(sys.stdlib_module_names) | set(ROOMS)
    for path in (ROOT / "flows").iterdir():
        assert path.stem not in taken, path.name


def test_polars_has_no_stand_in_for_numpy() -> None:
    """Threads that met it at once ended a run with an IndexError."""
    asked = "import flows.command_line, polars._dependencies as d; print(type(d.numpy).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "module\n"


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [p for p in MODULES if p.stem in ("utils", "helpers", "common", "misc")]
