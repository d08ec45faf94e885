"""The bench of loading: what it divides by what, how it watches, and one small run of it."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measured_by
from benchmarks.speed.__main__ import numbers, parser, parts, summary
from benchmarks.speed.environments import REQUIREMENTS
from benchmarks.speed.ground import ground
from benchmarks.speed.limit import told_all
from benchmarks.speed.peers import PEERS, differing, hash_of, peer_of
from benchmarks.speed.play import PARTS, Plan, Play, WrongError, _as_expected
from benchmarks.speed.prefect_cost import Server
from benchmarks.speed.ratios import Spread, growth, headline, memory_of, ratios_of
from benchmarks.speed.running import Run, machine_of
from benchmarks.speed.table import HEADS, table
from benchmarks.speed.watching import Watch, by_step, used_at

RATIOS = {
    "load_vs_limit",
    "redis_cpu_load_vs_limit",
    "run_vs_limit",
    "run_vs_script",
    "run_vs_feast",
    "run_vs_dlt",
    "changed_5pct_vs_full",
    "unchanged_vs_full",
    "prefect_share",
    "time_per_profile_1m_vs_100k",
}


def run_of(seconds: float, load: float = 1.0, peak: int = 300) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "process_seconds": seconds + 2,
        "steps": {"extract": seconds - load, "load": load},
        "cpu_by_step": {"extract": 0.5, "load": 0.25},
        "redis_cpu_by_step": {"extract": 0.0, "load": 0.75 * load},
        "cpu_s": 3.0,
        "peak_mb": peak,
        "prefect": {"server_cpu_above_idle_s": 0.2, "cores": 2},
    }


def size_of(users: int, *fulls: float) -> dict[str, Any]:
    """A limit of 1,000 documents per second, and full runs of so many seconds."""
    rounds = [
        {
            "limit": {"seconds": users / 1_000, "redis_cpu_s": 0.5, "rows": users},
            "full": run_of(full),
            "unchanged": run_of(full / 4),
            "changed": run_of(full / 2),
            "empty_flow": {"seconds": 0.1},
        }
        for full in fulls
    ]
    return {"users": users, "cores": [2], "first_run": run_of(9.0, peak=310), "rounds": rounds}


def test_ratios_are_those_of_each_round() -> None:
    size = size_of(1_000, 2.0, 4.0, 5.0)
    size["rounds"][0]["limit"]["seconds"] = 0.5  # a round in which all was twice as fast
    size["rounds"][1]["script"] = {"seconds": 10.0, "rows": 1_000}
    found = ratios_of(size)
    assert found["run_vs_limit"] == Spread(0.25, 0.2, 0.25)
    assert found["load_vs_limit"] == Spread(1.0, 0.5, 1.0)
    assert found["run_vs_script"] == Spread(2.5, 2.5, 2.5)
    assert found["unchanged_vs_full"] == Spread(0.25, 0.25, 0.25)
    assert found["changed_5pct_vs_full"] == Spread(0.5, 0.5, 0.5)
    assert found["prefect_share"].median == pytest.approx((0.1 + 0.2 / 2) / 4.0)
    assert "run_vs_feast" not in found and "run_vs_dlt" not in found


def test_flat_rows_are_compared_by_their_own_number() -> None:
    size = size_of(1_000, 2.0)
    size["rounds"][0]["dlt"] = {"seconds": 4.0, "rows": 500}
    assert ratios_of(size)["run_vs_dlt"].median == 4.0


def test_the_headline_is_that_of_most_users() -> None:
    small, large = size_of(100_000, 50.0), size_of(1_000_000, 600.0)
    small["rounds"][0]["feast"] = {"seconds": 100.0, "rows": 100_000}
    found = headline([large, small])
    assert found.keys() == RATIOS
    assert found["run_vs_limit"] == pytest.approx(1_000 / 600)
    assert found["run_vs_feast"] == 2.0, "peers were measured with fewer users only"
    assert found["run_vs_script"] is None
    assert found["time_per_profile_1m_vs_100k"] == pytest.approx(1.2)
    assert headline([small])["time_per_profile_1m_vs_100k"] is None
    assert growth([large]) is None


def test_the_summary_has_the_memory_by_users() -> None:
    size = size_of(1_000, 2.0, 3.0)
    assert memory_of(size) == 310
    size["rounds"][1]["full"]["peak_mb"] = 320
    found = summary([size])
    assert found["memory_mb"] == {"1000": 320}
    assert found["ratios_by_users"]["1000"]["run_vs_limit"] == {
        "median": pytest.approx(0.5 * (1 / 2 + 1 / 3)),
        "low": pytest.approx(1 / 3),
        "high": 0.5,
    }


def test_the_table_has_ratios_first() -> None:
    size = size_of(1_000, 2.0, 4.0)
    size["cores"] = [1, 2]
    size["rounds"][0]["machine_of_1"] = run_of(3.0)
    size["rounds"][0]["dlt"] = {"seconds": 10.0, "rows": 1_000}
    lines = table([size]).splitlines()
    assert all(line.count("|") == len(HEADS) + 1 for line in lines)
    assert (
        "| 1,000 | the limit: redis-cli --pipe | 1 |  |  | 1,000 documents/s | 1,000 – 1,000 |"
        in lines
    )
    assert (
        "| 1,000 | whole run by the limit | 0.375 | 0.25 – 0.5 | ≥ 0.5 "
        "| 375 profiles/s | 250 – 500 |" in lines
    )
    assert (
        "| 1,000 | CPU of Redis in the load step by that at the limit | 1.5 | 1.5 – 1.5 |  "
        "| 0.75 cores | 0.75 – 0.75 |" in lines
    )
    assert "| 1,000 | whole run by dlt, flat rows | 5 | 5 – 5 | ≥ 4 | 100 /s | 100 – 100 |" in lines
    assert (
        "| 1,000 | time with 1 of 2 cores for all, by the full run | 1.5 | 1.5 – 1.5 |  | 3 s | 3 – 3 |"
        in lines
    )
    assert any("step extract, share of the run | 0.625 | 0.5 – 0.75 |" in line for line in lines)
    assert not any("Feast" in line for line in lines)


def test_cpu_is_shared_out_to_the_steps() -> None:
    moments = [(100.0, 0.0), (102.0, 2.0), (104.0, 6.0), (106.0, 6.5)]
    steps = {"extract": 1.0, "load": 2.0, "check": 1.0}
    assert used_at(moments, 103.0) == 4.0
    assert by_step(moments, 101.0, steps) == {"extract": 1.0, "load": 4.0, "check": 0.25}


def test_a_watch_sees_all_processes_below() -> None:
    held = 60_000_000
    below = f"b = bytearray(b'x' * {held}); import time; time.sleep(0.8)"
    busy = "t = time.monotonic() + 0.5\nwhile time.monotonic() < t: pass"
    code = (
        f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {below!r}])\n{busy}"
    )
    watch = Watch({"this": os.getpid()}, memory_s=0.1)
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        watch.until_end(child)
    assert held / 1024 < watch.peak_kib < 4 * held / 1024
    assert watch.moments[0][1] < 0.3 < watch.moments[-1][1]
    assert watch.server_moments["this"][-1][1] > 0
    assert watch.moments == sorted(watch.moments)


def test_what_redis_cli_says_of_the_commands() -> None:
    said = "All data transferred.\nerrors: {}, replies: {}\n"
    assert told_all(said.format(0, 7), 7)
    assert not told_all(said.format(1, 7), 7)
    assert not told_all(said.format(0, 6), 7)
    assert not told_all("", 0)


def test_profiles_are_compared_without_meta() -> None:
    ours = hash_of(b'{"user_id":1,"a":{"x":1,"y":[1,2]},"_meta":{"epoch":3}}')
    assert ours == hash_of(b'{"a":{"y":[1,2],"x":1},"user_id":1}')
    assert ours != hash_of(b'{"a":{"y":[2,1],"x":1},"user_id":1}')
    assert differing({b"1": ours}, {b"1": ours}) == 0
    assert differing({b"1": ours, b"2": ours}, {b"1": b"other", b"3": ours}) == 3


def test_a_run_that_did_something_else_is_refused() -> None:
    done = Run(1.0, 2.0, {}, {"created": 5, "checked": 4}, 1.0, {}, {}, 1, {})
    assert _as_expected(done, created=5) is done
    with pytest.raises(WrongError, match="checked"):
        _as_expected(done, created=5, checked=5)


def test_all_can_be_kept_on_fewer_cores() -> None:
    usable = sorted(os.sched_getaffinity(0))
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline()
        with machine_of(1):
            shown = "import os; print(os.sched_getaffinity(0))"
            later = subprocess.run([sys.executable, "-c", shown], capture_output=True, check=True)
            assert later.stdout.decode() == f"{ {usable[0]} }\n"
            assert os.sched_getaffinity(server.pid) == {usable[0]}
        assert os.sched_getaffinity(server.pid) == os.sched_getaffinity(0) == set(usable)
        server.communicate(b"\n")


def test_options() -> None:
    assert numbers("2000,1000") == [1_000, 2_000]
    assert parts("limit,ours") == {"ours", "limit"}
    assert parser().parse_args([]).users == [100_000, 200_000]
    for wrong in ("", "0", "one", "1,-2"):
        with pytest.raises(argparse.ArgumentTypeError):
            numbers(wrong)
    with pytest.raises(argparse.ArgumentTypeError, match="no such part: fast"):
        parts("ours,fast")


def test_the_peers_are_pinned() -> None:
    assert set(REQUIREMENTS) < set(PEERS) < set(PARTS)
    for requirements in REQUIREMENTS.values():
        for requirement in requirements:
            assert re.fullmatch(r"[\w.-]+(\[[\w-]+\])?==[\w.]+", requirement)


@pytest.fixture(scope="module")
def size(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("speed")
    chosen = frozenset({"ours", "limit", "script"})
    plan = Plan(chosen, 1, 1, [], {"script": peer_of("script")})
    with ground(60, folder, Server(prefect_url, os.getpid())) as here:
        # It compares the script's profiles with the pipeline's, one by one.
        return Play(here, plan, lambda text: None).show()


def test_a_small_run_has_all_figures(size: dict[str, Any]) -> None:
    (found,) = size["rounds"]
    assert found.keys() == {"limit", "full", "unchanged", "changed", "empty_flow", "script"}
    assert size["documents"] == found["limit"]["rows"] == found["script"]["rows"] == 60
    assert 1_300 < size["document_bytes"] < 1_500
    told = {part: found[part]["counts"] for part in ("full", "unchanged", "changed")}
    assert (told["full"]["created"], told["full"]["checked"]) == (60, 60)
    assert (told["unchanged"]["unchanged"], told["unchanged"]["bytes_written"]) == (60, 0)
    assert (told["changed"]["updated"], told["changed"]["unchanged"]) == (3, 57)
    full = found["full"]
    assert full["cpu_by_step"].keys() == full["redis_cpu_by_step"].keys() == full["steps"].keys()
    assert 0 < sum(full["cpu_by_step"].values()) < full["cpu_s"]
    assert full["seconds"] < full["process_seconds"]
    assert full["peak_mb"] > 50
    assert full["prefect"]["task_runs"] > 5
    assert headline([size]).keys() == RATIOS
    assert table([size]).count("step ") == len(full["steps"]) + 2


def test_the_command_is_told_without_the_place_of_its_file() -> None:
    told = measured_by(
        "benchmarks.speed", ["--users", "5", "--out", "/here/it.json", "--only=ours"]
    )
    assert told == "python -m benchmarks.speed --users 5 --only=ours"
    assert measured_by("benchmarks.read", ["--out=it.json"]) == "python -m benchmarks.read"
