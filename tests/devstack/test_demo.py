"""``make demo``, as a newcomer types it: with a small bank, in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from devstack.demo.judging import differences, expected_figures
from devstack.proctree import PROC

ROOT = Path(__file__).resolve().parents[2]
USERS = 2_000
DEADLINE_S = 300
LEFT_OUT = (".git", ".venv", ".devstack", ".prefetch", ".hypothesis", "__pycache__", ".*_cache")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The tree somewhere else, with this environment: what it takes is what `install` makes."""
    copy = tmp_path / "clone"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (copy / ".venv").symlink_to(ROOT / ".venv")
    libraries = ROOT / ".devstack/lib"
    if libraries.is_dir():  # of Redis; else it downloads them
        shutil.copytree(libraries, copy / ".devstack/lib")
        (copy / ".devstack").chmod(0o700)
    return copy


def _command(clone: Path, *more: str) -> list[str]:
    return [str(clone / ".venv/bin/python"), "-m", "devstack.demo", *more]


def _environ(clone: Path) -> dict[str, str]:
    """Nothing of ours but the path; the caller's own servers and settings must not matter."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(clone.parent),
        "PYTHONPATH": str(clone),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
        "PREFETCH_DEV_POSTGRES_URL": "postgresql://127.0.0.1:1/none",
    }


def _processes_in(folder: Path) -> list[str]:
    """The command lines of all processes that know of a folder."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in told:
                found.append(told.replace(b"\0", b" ").decode(errors="replace"))
    return found


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_symlink()}


def test_the_demo_shows_all_and_leaves_nothing(clone: Path) -> None:
    before = _files(clone.parent)
    done = subprocess.run(
        _command(clone, "--users", str(USERS)),
        env=_environ(clone),
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 85
    assert "1,987 profiles made of " in done.stdout
    assert "✗" not in done.stdout
    agreeing = [line for line in lines if line.startswith("✓ all ")]
    assert len(agreeing) == 3
    assert any(line.startswith("core.customer ") and line.endswith(" ✓") for line in lines)
    written = [line for line in lines if "profiles unchanged; written: " in line]
    assert len(written) == 2
    assert written[0].startswith("1,987 profiles unchanged; written: 0 new, 0 changed, 0 removed")
    assert "; written: 0 new" not in written[1]
    for question in ("user by e-mail", "profile by id", "permissions by path"):
        assert any(line.startswith(question) for line in lines)
    assert '"name": "•••"' in done.stdout

    assert _processes_in(clone) == []
    left = _files(clone.parent) - before
    assert {path for path in left if not path.startswith("clone/.devstack")} == set()
    assert {path.name for path in (clone / ".devstack").iterdir()} <= {
        "demo.lock",
        "lib",
        "prefect",
    }
    assert (clone / ".devstack").stat().st_mode & 0o777 == 0o700


def test_an_interrupted_demo_leaves_nothing(clone: Path) -> None:
    with subprocess.Popen(
        _command(clone, "--users", "500"),
        env=_environ(clone),
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        told = ""
        while "all product lines into Redis" not in told:
            told += demo.stdout.read(1)
        time.sleep(1)
        demo.send_signal(signal.SIGINT)
        told += demo.stdout.read()
        assert demo.wait(DEADLINE_S) == 130
    assert told.endswith("Interrupted; nothing is left running.\n")
    assert _processes_in(clone) == []
    assert [path.name for path in (clone / ".devstack/demo").iterdir()] == ["logs"]


@pytest.mark.parametrize("users", ["0", "many", "-5", "1e9"])
def test_a_bank_of_no_size_is_refused(users: str) -> None:
    done = subprocess.run(
        ["make", "-o", "install", "demo", f"USERS={users}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "USERS must be a whole number from 500 to 5,000,000" in done.stderr


PLANTED = {
    "users_with_profile": 9,
    "held": {"1": "core.login: missing"},
    "moved": {"created": [11], "updated": [2, 3], "departed": [4]},
    "datasets": {
        "core.customer": {
            "rows": 10,
            "copies": 0,
            "placed": 9,
            "reference": 0,
            "filtered": {},
            "quarantined": {"user_held": 1},
        }
    },
}


def _report(**figures: object) -> dict[str, object]:
    return {
        "status": "success",
        "users": 9,
        "created": 1,
        "updated": 2,
        "unchanged": 6,
        "removed": 1,
        "held": 1,
        "superseded": 0,
        "sources": {"core": {"rows": 10}},
        "datasets": PLANTED["datasets"],
        **figures,
    }


def test_every_difference_is_told_with_its_place() -> None:
    expected = expected_figures(PLANTED, moved=True)
    assert differences(expected, _report()) == []
    ends = {**PLANTED["datasets"]["core.customer"], "placed": 8, "quarantined": {"no_link": 2}}
    wrong = _report(updated=3, datasets={"core.customer": ends}, sources={})
    assert differences(expected, wrong) == [
        "updated: the report says 3, the bank's list 2",
        "sources → core: the report says 0, the bank's list 10",
        "datasets → core.customer → placed: the report says 8, the bank's list 9",
        "datasets → core.customer → quarantined → user_held: the report says 0, the bank's list 1",
        "datasets → core.customer → quarantined → no_link: the report says 2, the bank's list 0",
    ]


def test_what_is_expected_of_each_night() -> None:
    first, again = expected_figures(PLANTED), expected_figures(PLANTED, again=True)
    assert (first["created"], first["unchanged"]) == (9, 0)
    assert (again["created"], again["unchanged"], again["removed"]) == (0, 9, 0)
