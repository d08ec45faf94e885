"""The walk-throughs of CONTRIBUTING.md: their files and changes, taken from the page and used."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, Desk

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGES = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
DEADLINE_S = 240


def code(number: int) -> str:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[number]


def change(folder: Path, number: int) -> None:
    """Makes one of the page's changes in a copy of the project."""
    subprocess.run(
        ["git", "apply", "--unsafe-paths", f"--directory={folder}", "-"],
        input=CHANGES[number],
        text=True,
        check=True,
        cwd=folder,
        timeout=DEADLINE_S,
    )


def test_the_new_product_line(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/demo_bank", tmp_path / "examples/demo_bank")
    change(tmp_path, 0)
    (tmp_path / "insurance.py").write_text(code(0))
    subprocess.run([sys.executable, "insurance.py"], cwd=tmp_path, check=True, timeout=DEADLINE_S)
    given = {
        "PREFETCH_CONFIG": str(tmp_path / "examples/demo_bank/pipeline.yaml"),
        "DEMO_INSURANCE_URL": f"sqlite:///{tmp_path}/insurance.db",
    }
    checked = desk.does("check", **given)
    assert "5 sources, 20 datasets; no mistakes" in checked.output

    ended = desk.does("run", "--json", **given)
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout.splitlines()[-1])
    assert report["updated"] == report["users"] > 900
    policies = report["datasets"]["insurance.policy"]
    assert policies["rows"] == 600
    assert policies["quarantined"].pop("unknown_user") >= 2
    assert set(policies["quarantined"]) <= {"user_held"}

    shown = json.loads(desk.does("show", "10000029", "--json", **given).stdout)
    assert shown["insurance"] == [
        {"policy_no": "•••", "kind": "home", "premium": "•••", "valid_until": "2027-06-30"},
        {"policy_no": "•••", "kind": "car", "premium": "•••", "valid_until": "2028-06-30"},
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the rooms, and of the tests of the connectors."""
    rooms = ("core", "connectors", "transforms", "stage", "store", "flows", "devstack")
    for folder in (*rooms, "benchmarks", "tests/connectors"):
        leave = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=leave)
    for file in (
        "pyproject.toml",
        "tests/conftest.py",
        "tests/forked.py",
        "tests/programs.py",
        "tests/test_architecture.py",
    ):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_new_kind_of_source(copy: Path) -> None:
    (copy / "connectors/csv_folder.py").write_text(code(1))
    change(copy, 1)
    (copy / "tests/connectors/test_csv_folder.py").write_text(code(2))
    added = ["connectors/csv_folder.py", "tests/connectors/test_csv_folder.py"]
    tests = [added[1], "tests/test_architecture.py"]
    for command in (
        ["pytest", *tests, "-q", "-p", "no:cacheprovider"],
        ["ruff", "check", "--no-cache", *added],
        ["ruff", "format", "--check", "--no-cache", *added],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
