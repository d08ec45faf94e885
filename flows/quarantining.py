"""Quarantining: what a run could not use, told in its report and kept in a private file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import polars as pl
from prefect import get_run_logger

from core.errors import PrefetchError
from core.quarantine import Quarantine
from flows.quarantine_files import folder_of, hashed
from flows.report import Report
from flows.run_context import Replayed, RunContext, suppressed_users
from stage.quarantine_file import Group, Kept, QuarantineFile, What, with_kept
from transforms.columns import USER_ID

SHOWN = 20
"""Of how many rows of a dataset, reason and column a report has the keyed hashes."""


@dataclass
class _Collected:
    """The groups of a run, and of each the first rows."""

    groups: list[Group] = field(default_factory=list)
    rows: list[list[Kept]] = field(default_factory=list)

    def add(self, what: What, dataset: str, quarantine: Quarantine, most: int) -> None:
        for (reason, column), number in sorted(quarantine.counts.items()):
            place = len(self.groups)
            frames = quarantine.kept[reason, column]
            rows = (row for frame in frames for row in _rows(place, frame))
            self.groups.append(Group(what, dataset, reason, column, number, 0))
            self.rows.append(list(islice(rows, most)))


@contextmanager
def quarantined(run: RunContext, report: Report) -> Iterator[None]:
    """Tells in the report what the work inside could not use, and keeps it, whatever its end."""
    try:
        yield
    finally:
        try:
            _tell(run, report)
        except PrefetchError as error:
            get_run_logger().warning("the quarantine could not be kept: %s", error)


def _tell(run: RunContext, report: Report) -> None:
    if run.replayed is not None:
        report.replayed = _replayed(run.replayed)
    collected = _collected(report, max(run.settings.quarantine_rows, SHOWN))
    if not collected.groups:
        return
    key = run.pseudonym_key
    for group, rows in zip(collected.groups, collected.rows, strict=True):
        told = asdict(group)
        told.pop("kept")
        report.quarantine.append({**told, "shown": [hashed(key, row) for row in rows[:SHOWN]]})
    if not report.request.dry_run:
        report.quarantine_file = _keep(run, report, collected)


def _keep(run: RunContext, report: Report, collected: _Collected) -> dict[str, Any]:
    now = datetime.now(UTC)
    file = QuarantineFile(
        report.profile,
        report.run,
        report.request.kind,
        str(report.request.selection),
        now,
        now + timedelta(days=run.settings.quarantine_days),
        tuple(collected.groups),
    )
    folder = folder_of(run.settings)
    with folder.locked():
        # Asked again under the lock: someone may have been forgotten since the run began.
        suppressed = suppressed_users(run.settings, run.keys)
        rows = [
            row
            for rows in collected.rows
            for row in rows[: run.settings.quarantine_rows]
            if row.user_id is None or row.user_id not in suppressed
        ]
        file = with_kept(file, rows)
        folder.write(file, rows)
    expires = file.expires.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"rows": file.rows, "kept": file.kept, "expires": expires}


def _replayed(replayed: Replayed) -> dict[str, Any]:
    collected = _Collected()
    for name, ended in replayed.lost.items():
        collected.add("row", name, ended.quarantine, 0)
    names = ("dataset", "reason", "column", "rows")
    return {
        "run": replayed.run,
        "rows": replayed.rows.total(),
        "lost": [{name: getattr(group, name) for name in names} for group in collected.groups],
        "untold": replayed.untold,
    }


def _collected(report: Report, most: int) -> _Collected:
    collected = _Collected()
    for name, ended in report.rows.items():
        collected.add("row", name, ended.quarantine, most)
    collected.add("held", "", report.held, most)
    collected.add("unwritten", "", report.unwritten + report.swept.quarantine, most)
    return collected


def _rows(place: int, frame: pl.DataFrame) -> Iterator[Kept]:
    for row in frame.iter_rows(named=True):
        user_id = row.pop(USER_ID, None)
        yield Kept(place, user_id, row)
