"""The bench of reading: how it counts time, and one small run of all of it."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from benchmarks.read.__main__ import bench
from benchmarks.read.client import ANSWERED, UNANSWERED, Job, _asked
from benchmarks.read.clients import Asked
from benchmarks.read.figures import SWEEP, by_turn, figures_of, holding
from benchmarks.read.first import can_be_first
from benchmarks.read.plan import SUBJECTS, Load, Plan
from benchmarks.read.play import wrong_answers
from benchmarks.read.questions import LOOK_UPS, QUESTIONS
from benchmarks.read.results import tables

CUSTOMERS = 500


class Stalling:
    """Answers at once, but for one request that hangs."""

    def __init__(self, seconds: float, at: int = 10) -> None:
        self.seconds, self.at = seconds, at

    def ask(self, question: str, number: int) -> bool:
        if number == self.at:
            time.sleep(self.seconds)
        return True


def notes_of(rates: dict[str, float], seconds: float, *askers: Stalling) -> Any:
    job = Job("redis", "", "", rates, len(askers), seconds, "")
    return _asked(job, askers)


def test_a_stop_is_charged_with_all_that_was_due_meanwhile() -> None:
    notes = notes_of({"id": 100.0}, 1.0, Stalling(0.3))
    late = (notes[:, 3] - notes[:, 1]) / 1e9
    assert len(notes) == 100
    # 30 requests were due during the stop, 20 of them more than 0.1 s before its end.
    assert (late > 0.1).sum() >= 20
    assert ((notes[:, 3] - notes[:, 2]) / 1e9 > 0.1).sum() < 5, "only one of them hung by itself"


def test_what_nobody_came_to_send_is_counted() -> None:
    notes = notes_of({"id": 100.0}, 0.2, Stalling(1.5))
    assert len(notes) == 20
    assert (notes[:, 4] == UNANSWERED).sum() == 9, "all after the one that hung for too long"
    assert sorted(np.unique(notes[:, 1])) == sorted(notes[:, 1]), "each is due at a time of its own"


def test_questions_are_mixed_by_their_rates() -> None:
    notes = notes_of({"id": 300.0, "path": 100.0}, 0.2, Stalling(0), Stalling(0))
    assert [(notes[:, 0] == question).sum() for question in (0, 1)] == [60, 20]


def test_figures() -> None:
    milliseconds = np.arange(1, 1001)
    notes = np.zeros((1000, 5), dtype=np.int64)
    notes[:, 1] = np.arange(1000) * 1_000_000
    notes[:, 2] = notes[:, 1] + 500_000
    notes[:, 3] = notes[:, 1] + milliseconds * 1_000_000
    notes[:, 4] = ANSWERED
    notes[7, 4] = UNANSWERED
    found = figures_of(notes)
    assert [found[f"{p}_ms"] for p in ("p50", "p95", "p99", "p99_9")] == [501, 951, 991, 1000]
    assert found["sent_to_done"]["p99_ms"] == 990.5
    assert (found["unanswered"], found["failed"], found["wrong"]) == (1, 0, 0)


def test_the_highest_rate_that_holds_while_a_load_runs() -> None:
    def row(
        state: str, rate: float, p99_ms: float, unanswered: int = 0, failed: int = 0
    ) -> dict[str, Any]:
        told = {"state": state, "question": "id", "rate": rate, "requests": 9}
        return {**told, "p99_ms": p99_ms, "unanswered": unanswered, "failed": failed}

    rows = [row("a", 10, 1.2), row("a", 20, 0.9), row("a", 40, 1.0), row("b", 10, 1.5)]
    rows += [
        row("a", 80, 0.9, unanswered=1),
        row("a", 90, 0.9, failed=1),
        {**row("c", 10, 0), "requests": 0},
    ]
    assert holding(rows) == {"a": {"id": 20}, "b": {"id": 0}}


def test_the_turns_of_a_rate_are_told_one_by_one() -> None:
    def turn(start: int, *milliseconds: float) -> Asked:
        notes = np.zeros((len(milliseconds), 5), dtype=np.int64)
        notes[:, 1] = notes[:, 2] = start + np.arange(len(milliseconds))
        notes[:, 3] = notes[:, 1] + np.array(milliseconds) * 1_000_000
        job = Job("redis", "", "", {"id": 100.0}, 1, 1.0, "")
        return Asked(job, notes[::-1], 0.0)

    asked = [turn(5, 0.1, 0.9), turn(10, 80, 0.2), turn(20, 0.3), turn(29, 0.4, 50)]
    (found,) = by_turn(asked, "loading", (6, 30))
    assert (found["turns"], found["turns_held"], found["turn_p99_ms"]) == (2, 1, 40.15)
    assert (found["requests"], found["p99_ms"]) == (5, 80)
    (none,) = by_turn(asked, "loading", (90, 99))
    assert (none["turns"], none["turns_held"], none["turn_p99_ms"]) == (0, 0, None)


@pytest.fixture(scope="module")
def results(prefect_url: str) -> dict[str, Any]:
    plan = Plan(
        rate=50.0,
        busy_rate=50.0,
        searches=50.0,
        connections=2,
        sweep=(1, 3),
        seconds=0.4,
        step_s=0.06,
        steps=1,
        turn_s=0.3,
        loads=(
            Load(SUBJECTS[:1], "loading", sched_idle=True),
            Load(SUBJECTS[:1], "loading_first", first=can_be_first(), rates=(20.0, 40.0)),
        ),
    )
    found = bench(CUSTOMERS, plan, prefect_url)
    return dict(json.loads(json.dumps(found)))


def test_the_json_has_all_of_it(results: dict[str, Any]) -> None:
    keys = {f"{q}_{state}" for q in QUESTIONS for state in ("idle", "searching", "loading", "run")}
    own = keys | {f"{question}_rebuilding" for question in QUESTIONS}
    assert results["p99_ms"].keys() == own | {"peers"}
    assert results["p99_ms"]["peers"].keys() == {"postgresql", "mongodb"}
    assert all(peer.keys() <= keys and peer for peer in results["p99_ms"]["peers"].values())
    assert set(results["machine"]) == {"cpu", "cores", "memory_gb", "system", "python"}
    assert 0 < results["memory"]["profiles"] == results["profiles"] <= CUSTOMERS
    for subject in SUBJECTS:
        assert results["holds_1_ms"][subject].keys() == set(QUESTIONS)
        assert all(most > 0 for most in results["most_per_s"][subject].values())
    assert tables(results).count("profile by id") > 6


def test_its_values_are_sane(results: dict[str, Any]) -> None:
    assert wrong_answers(results) == 0
    for row in results["measured"]:
        if row["requests"]:
            assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["p99_9_ms"]
            assert row["sent_to_done"]["p50_ms"] <= row["p50_ms"]
            assert row["failed"] == 0
    for state in ("idle", "searching"):
        asked = [row["requests"] for row in results["measured"] if row["state"] == state]
        assert asked == [20] * 12
    swept = [row["connections"] for row in results["measured"] if row["state"] == SWEEP]
    assert swept == [1, 3] * 3


def test_a_load_wrote_every_profile_anew(results: dict[str, Any]) -> None:
    for run in results["runs"]:
        assert run["users"] == run["updated"] == results["profiles"]
    assert [run["state"] for run in results["runs"]] == ["loading", "loading_first"]


def test_rates_during_a_load_are_told_apart(results: dict[str, Any]) -> None:
    asked = {(row["question"], row["rate"]) for row in results["by_rate"]}
    assert asked == {(question, rate) for question in LOOK_UPS for rate in (20.0, 40.0)}
    assert {row["state"] for row in results["by_rate"]} == {"loading_first"}
    assert any(row["requests"] for row in results["by_rate"])
    assert results["holds_1_ms_loading"]["loading_first"].keys() == set(LOOK_UPS)
    assert "full load, app and Redis first" in tables(results)


def test_the_server_was_asked_itself(results: dict[str, Any]) -> None:
    assert results["server"].keys() == {"idle", "searching", "loading", "rebuilding"}
    for commands in results["server"].values():
        assert commands["json.get"]["calls"] >= 20
        assert 0 < commands["json.get"]["p50_us"] <= commands["json.get"]["p99_us"]
        assert commands["FT.SEARCH"]["calls"] >= 20
    memory = results["memory"]
    assert 1_000 < memory["bytes_per_profile"] < memory["bytes_per_profile_with_index"] < 100_000
    assert all(cost > 0 for cost in results["hash_ms"].values())
