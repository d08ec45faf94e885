"""Ports and the library cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from devstack import DevstackError, redis_libraries
from devstack.folders import PROJECT
from devstack.ports import PortLease
from devstack.redis_libraries import LIBRARIES, library_folder


def test_leases_never_share_a_port() -> None:
    leases = [PortLease() for _ in range(50)]
    try:
        assert len({lease.port for lease in leases}) == 50
    finally:
        for lease in leases:
            lease.release()


def test_a_lease_holds_against_other_processes() -> None:
    lease = PortLease()
    take = [
        sys.executable,
        "-c",
        f"from devstack.ports import PortLease; PortLease({lease.port})",
    ]
    try:
        assert subprocess.run(take, cwd=PROJECT, capture_output=True, check=False).returncode
    finally:
        lease.release()
    assert subprocess.run(take, cwd=PROJECT, capture_output=True, check=False).returncode == 0


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a program that needs what it lacks."""
    library_folder.cache_clear()
    monkeypatch.setattr(redis_libraries, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(redis_libraries, "_misses_libraries", lambda _: True)
    return tmp_path / "cache"


def test_a_failed_download_says_the_way_out(lacking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_libraries, "DONOR", "no/such wheel==0")
    with pytest.raises(DevstackError, match="set PREFETCH_DEV_REDIS_URL"):
        library_folder(Path("redis-server"))
    assert list(lacking.iterdir()) == []


def test_libraries_of_the_cache_are_not_downloaded_again(
    lacking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking.mkdir()
    for name in LIBRARIES:
        (lacking / name).touch()
    monkeypatch.setattr(redis_libraries, "DONOR", "no/such wheel==0")
    assert library_folder(Path("redis-server")) == lacking


def test_a_program_with_all_libraries_needs_no_cache() -> None:
    library_folder.cache_clear()
    assert library_folder(Path("/bin/sh")) is None
