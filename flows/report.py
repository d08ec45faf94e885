"""The report of a run: one object for people, machines and the next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.document import Stale
from core.errors import GuardStopped, PrefetchError, Stopped, Unexpected
from core.plan import Plan
from core.quarantine import Quarantine
from core.records import LoadCounts, RowCounts, SourceRead
from flows.guards import Finding
from flows.leavers import Swept
from flows.request import Request
from flows.settling import Settled
from flows.watermarks import unseen
from store.index_state import IndexState

_LISTED = 1_000
"""How many removed users a report names, by their keyed hashes."""


@dataclass
class Report:
    """What a run did, as far as it came; counts and names only, never values."""

    profile: str
    run: str
    request: Request
    pipeline: str | None = None
    complete: bool = False
    status: str = "running"
    epoch: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    loaded: LoadCounts = field(default_factory=LoadCounts)
    rows: dict[str, RowCounts] = field(default_factory=dict)
    sources: dict[str, SourceRead] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    held: Quarantine = field(default_factory=Quarantine)
    unwritten: Quarantine = field(default_factory=Quarantine)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    quarantine_file: dict[str, Any] | None = None
    replayed: dict[str, Any] | None = None
    checked: int = 0
    findings: Mapping[str, int] = field(default_factory=dict)
    leaving: int = 0
    swept: Swept = field(default_factory=Swept)
    accepted: list[Finding] = field(default_factory=list)
    diffs: list[list[dict[str, Any]]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    carried: Mapping[str, str] = field(default_factory=dict)
    behind: Mapping[str, int] = field(default_factory=dict)
    behind_s: Mapping[str, float] = field(default_factory=dict)
    repair: str | None = None
    indexed: IndexState | None = None
    repeated: list[str] = field(default_factory=list)
    error: str | None = None
    guard: list[str] = field(default_factory=list)

    def carry(self, stale: Stale) -> None:
        """Takes over which sources were carried forward: the run is not complete then."""
        self.carried = dict(stale)
        self.complete = self.complete and not stale

    def of(self, plan: Plan) -> None:
        """Tells what the run is of, once the pipeline file is read."""
        self.profile = plan.pipeline.profile.name
        self.pipeline = plan.pipeline.fingerprint
        self.complete = self.request.kind == "nightly"
        if self.request.kind == "incremental":
            self.unseen = unseen(plan)

    def settled(self, settled: Settled) -> None:
        """Takes over where rows and users end."""
        self.rows, self.held = dict(settled.counts), settled.held
        self.leaving = settled.leaving.users

    def end(self, error: BaseException | None = None) -> None:
        """Fixes status and duration."""
        self.seconds = round((datetime.now(UTC) - self.started).total_seconds(), 3)
        only_planned = self.request.dry_run and self.request.kind != "verify"
        self.status = "planned" if only_planned else "success"
        if error is not None:
            self.status = "failed"
            self.error = str(_told(error))
            self.guard = list(error.findings) if isinstance(error, GuardStopped) else []

    @property
    def users(self) -> int:
        """Users with a document of this run or a newer one."""
        done = self.loaded
        return done.created + done.updated + done.unchanged + done.superseded

    @property
    def headline(self) -> str:
        """The run in one line."""
        done = self.loaded
        return (
            f"{self.status}: {self.users:,} users, {done.created:,} created, "
            f"{done.updated:,} updated, {self.swept.removed:,} removed"
        )

    @property
    def quarantined(self) -> dict[str, int]:
        """Rows (and users that could not be written) in quarantine, by reason."""
        reasons: Counter[str] = Counter()
        rows = [ended.quarantine for ended in self.rows.values()]
        for some in (*rows, self.unwritten, self.swept.quarantine):
            for (reason, _), count in some.counts.items():
                reasons[reason] += count
        return dict(sorted(reasons.items()))

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "status": self.status,
            "profile": self.profile,
            "kind": self.request.kind,
            "selection": str(self.request.selection),
            "run": self.run,
            "parent": self.request.parent,
            "complete": self.complete,
            "pipeline": self.pipeline,
            "epoch": self.epoch,
            "started": self.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": self.seconds,
            "users": self.users,
            "created": self.loaded.created,
            "updated": self.loaded.updated,
            "unchanged": self.loaded.unchanged,
            "superseded": self.loaded.superseded,
            "held": self.loaded.held,
            "leaving": self.leaving,
            "removed": self.swept.removed,
            "spared": self.swept.spared,
            "removed_users": self.swept.removed_users[:_LISTED],
            "bytes_written": self.loaded.bytes_written,
            "checked": self.checked,
            "findings": dict(self.findings),
            "behind": dict(self.behind),
            "behind_s": dict(self.behind_s),
            "repair": self.repair,
            "quarantined": self.quarantined,
            "quarantine": self.quarantine,
            "quarantine_file": self.quarantine_file,
            "replayed": self.replayed,
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
            "accepted": [finding.text for finding in self.accepted],
            "accepted_guards": sorted({finding.guard for finding in self.accepted}),
            "accepted_by": self.request.acceptance.by if self.accepted else None,
            "accepted_why": self.request.acceptance.why if self.accepted else None,
            "carried": dict(self.carried),
            "unseen": self.unseen,
            "diffs": self.diffs,
            "indexed": None if self.indexed is None else self.indexed.documents,
            "repeated": self.repeated,
            "error": self.error,
            "guard": self.guard,
        }


def _told(error: BaseException) -> PrefetchError:
    if isinstance(error, PrefetchError):
        return error
    return Unexpected.of(error) if isinstance(error, Exception) else Stopped()


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
