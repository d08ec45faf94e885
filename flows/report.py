"""The report of a run: one object for people, machines and the next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.errors import PrefetchError
from core.records import LoadCounts, RowCounts, SourceRead


@dataclass
class Report:
    """What a run did, as far as it came; counts and names only, never values."""

    profile: str
    run: str
    status: str = "running"
    epoch: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    users: int = 0
    loaded: LoadCounts = field(default_factory=LoadCounts)
    rows: dict[str, RowCounts] = field(default_factory=dict)
    sources: dict[str, SourceRead] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    written_quarantined: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    findings: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def end(self, error: BaseException | None = None) -> None:
        """Fixes status and duration."""
        self.seconds = round((datetime.now(UTC) - self.started).total_seconds(), 3)
        self.status = "success" if error is None else "failed"
        if error is not None:
            is_ours = isinstance(error, PrefetchError)
            self.error = str(error) if is_ours else f"unexpected {type(error).__name__}"

    @property
    def quarantined(self) -> dict[str, int]:
        """Rows (and users that could not be written) in quarantine, by reason."""
        reasons: Counter[str] = Counter(self.written_quarantined)
        for ended in self.rows.values():
            for (reason, _), count in ended.quarantined.items():
                reasons[reason] += count
        return dict(sorted(reasons.items()))

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "status": self.status,
            "profile": self.profile,
            "run": self.run,
            "epoch": self.epoch,
            "started": self.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": self.seconds,
            "users": self.users,
            "created": self.loaded.created,
            "updated": self.loaded.updated,
            "unchanged": self.loaded.unchanged,
            "superseded": self.loaded.superseded,
            "held": self.loaded.held,
            "bytes_written": self.loaded.bytes_written,
            "checked": self.checked,
            "findings": dict(self.findings),
            "quarantined": self.quarantined,
            "sources": {
                name: {
                    "rows": read.rows,
                    "as_of": read.as_of.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "consistency": read.consistency,
                    "seconds": round(read.seconds, 3),
                }
                for name, read in self.sources.items()
            },
            "datasets": {name: _rows(ended) for name, ended in self.rows.items()},
            "steps": {name: round(seconds, 3) for name, seconds in self.steps.items()},
            "error": self.error,
        }

    def as_markdown(self) -> str:
        """The report for the Prefect UI, the numbers that matter first."""
        told = self.as_dict()
        lines = [f"# {self.profile}: {self.status}, {self.users:,} users", ""]
        if self.error:
            lines += ["```", self.error, "```", ""]
        figures = ("created", "updated", "unchanged", "superseded", "held", "checked", "seconds")
        lines += _table(["figure", "value"], [[name, told[name]] for name in figures])
        lines += ["", "## Sources", ""]
        lines += _table(
            ["source", "rows", "as of", "consistency", "seconds"],
            [[name, *source.values()] for name, source in told["sources"].items()],
        )
        lines += ["", "## Rows", ""]
        lines += _table(
            ["dataset", "rows", "copies", "in profiles", "reference", "filtered", "quarantined"],
            [
                [
                    name,
                    e.rows,
                    e.copies,
                    e.placed,
                    e.reference,
                    e.filtered.total(),
                    e.quarantined.total(),
                ]
                for name, e in self.rows.items()
            ],
        )
        lines += ["", "## Quarantine", ""]
        lines += _table(["reason", "rows"], [[*pair] for pair in told["quarantined"].items()])
        return "\n".join(lines)


def _rows(ended: RowCounts) -> dict[str, Any]:
    return {
        "rows": ended.rows,
        "copies": ended.copies,
        "placed": ended.placed,
        "reference": ended.reference,
        "filtered": dict(sorted(ended.filtered.items())),
        "quarantined": {
            f"{reason} ({column})" if column else reason: count
            for (reason, column), count in sorted(ended.quarantined.items())
        },
    }


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [
        " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        for row in rows
    ]
    return [f"| {line} |" for line in lines]
