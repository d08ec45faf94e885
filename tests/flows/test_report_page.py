"""The report's page: right figures, and no text that Markdown would take for more than a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import GuardStopped
from core.records import LoadCounts, RowCounts
from core.selection import Selection
from flows.report import Report
from flows.report_page import artifact_key, page
from flows.request import Request


def _report(**request: Any) -> Report:
    made = Report(
        "demo_bank", "r1", Request(config=Path("x.yaml"), **{"kind": "nightly", **request})
    )
    made.rows["core.customer_role"] = RowCounts(rows=3, placed=2, filtered={"where": 1})
    made.loaded = LoadCounts(created=1200, updated=2, held=5, bytes_written=2_500_000)
    return made


def _lines(report: Report) -> list[str]:
    return page(report.as_dict()).splitlines()


def test_the_numbers_that_matter_come_first() -> None:
    report = _report()
    report.epoch, report.steps = 7, {"load": 1.25}
    report.end()
    lines = _lines(report)
    assert lines[0] == "# demo_bank: nightly success, 1,202 users"
    assert lines[2] == (
        "| users | created | updated | unchanged | removed | held | checked | quarantined |"
    )
    assert lines[4] == "| 1,202 | 1,200 | 2 | 0 | 0 | 5 | 0 | 0 |"
    assert " · load 1.2 s · epoch 7 · 2.5 MB written · run `r1`" in lines[6]
    assert "| core.customer\\_role | 3 | 0 | 2 | 0 | 1 | 0 |" in lines
    assert "## Quarantine" not in lines


def test_a_plan_tells_what_would_be() -> None:
    report = _report(kind="backfill", selection=Selection(users=("7",)), dry_run=True)
    report.leaving = 3
    report.diffs = [[{"path": "a|b", "before": "<b>", "after": None}]]
    report.end()
    lines = _lines(report)
    assert lines[0] == "# demo_bank: backfill (1 user) planned, 1,202 users"
    head = "| would be created | would be updated | unchanged | would be removed | held | quarantined |"
    assert lines[lines.index(head) + 2] == "| 1,200 | 2 | 0 | 3 | 5 | 0 |"
    assert lines[-1] == "| 1 | a\\|b | \\<b\\> | None |"


def test_an_error_stays_in_its_block() -> None:
    report = _report()
    report.end(GuardStopped(["a.b: ``` # not a title"]))
    lines = _lines(report)
    assert lines[0] == "# demo_bank: nightly failed, 1,202 users"
    first, error, last = lines[2:5]
    assert first == last == "```"
    assert error.endswith("a.b: ''' # not a title")


def test_a_repair_and_its_parent_name_each_other() -> None:
    repair = _report(kind="backfill", parent="p1")
    verify = _report(kind="verify", dry_run=True)
    verify.repair = "r1"
    for report, other, run in ((repair, "verify", "p1"), (verify, "backfill", "r1")):
        report.end()
        link = f"[{other} run](/artifacts/key/report-demo-bank-{other}) `{run}`"
        assert link in page(report.as_dict())


@pytest.mark.parametrize(
    "profile, key",
    [
        ("demo_bank", "report-demo-bank-nightly"),
        ("My Pipeline.v2", "report-my-pipeline-v2-nightly"),
        ("…", "report-unnamed-nightly"),
    ],
)
def test_any_name_gives_a_key_that_prefect_takes(profile: str, key: str) -> None:
    assert artifact_key(profile, "nightly") == key
