"""Guard: what the run has found so far, judged against limits and against the last good runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from core.acceptance import Acceptance
from core.document import Stale
from core.errors import GuardStopped
from core.records import RowCounts
from flows.run_context import RunContext
from store.client import client_of
from store.runs import last

_NOT_OF_THE_ROW = "user_held"
"""Rows withheld with their user are counted by what held him, not a second time."""

RUNS = 7
"""Of how many good runs the median is taken."""

FEW_ROWS = 50
"""Unusable rows that a backfill of some users may always have: of few rows, one is a big share."""

FEW_CHANGES = 1_000


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong: which guard, and what a person must know."""

    guard: str
    text: str
    accepted: bool = False


@dataclass(frozen=True)
class Leaving:
    """How many users a run would remove, of how many in Redis."""

    users: int
    in_redis: int


def judge(
    run: RunContext,
    counts: Mapping[str, RowCounts],
    leaving: Leaving,
    changed_share: Callable[[Stale], float | None],
    acceptance: Acceptance,
) -> list[Finding]:
    """What the guard found and a person has accepted.

    Args:
        counts: by dataset, final.
        changed_share: gives the share of documents that would change if they bore these marks of
            stale sources, where there are any; asked last, because it is dear.

    Raises:
        GuardStopped: something was found that nobody has accepted.
    """
    succeeded = _good_runs(run)
    good = [report for report in succeeded if report.get("complete")]
    found = [
        *_rows(run, counts, good),
        *_quarantined(run, counts),
        *_removals(run, leaving, acceptance),
    ]
    if not _open(found, acceptance):
        marks = _last_marks(succeeded)
        found += _changed(run, good, leaving.in_redis, lambda: changed_share(marks))
    stopping = _open(found, acceptance)
    if stopping:
        raise GuardStopped([finding.text for finding in stopping])
    return [Finding(finding.guard, finding.text, accepted=True) for finding in found]


def _open(found: Sequence[Finding], acceptance: Acceptance) -> list[Finding]:
    return [f for f in found if not f.accepted and f.guard not in acceptance.guards]


def _good_runs(run: RunContext) -> list[dict[str, Any]]:
    with client_of(run.redis_url, run.timeouts) as client:
        reports = last(client, run.plan.pipeline.profile.name, run.settings.runs_kept)
    return [report for report in reports if report.get("status") == "success"]


def _rows(
    run: RunContext, counts: Mapping[str, RowCounts], good: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Too few rows: by the dataset's own least number, and against the last good runs."""
    usual_runs = list(_since_accepted(good))[:RUNS]
    for name, ended in counts.items():
        entry = run.plan.datasets[name]
        if not ended.balanced:
            yield Finding("balance", f"{name}: the counts do not add up to the rows read: {ended}")
        if run.keyed:
            continue
        place = f"source {entry.source}: {name} has {ended.rows} rows"
        if ended.rows < entry.dataset.min_rows:
            least = entry.dataset.min_rows
            text = f"{place}, fewer than its min_rows {least}: missing is not empty"
            yield Finding("rows", text)
            continue
        before = [r["datasets"][name]["rows"] for r in usual_runs if name in r["datasets"]]
        usual = median(before) if before else 0
        allowed = run.plan.pipeline.guard.max_row_drop
        if usual and (usual - ended.rows) / usual > allowed:
            text = (
                f"{place}, the last good runs had {usual:g} (median of {len(before)}): it has "
                f"lost more than max_row_drop {allowed:g} allows; if that is right, accept `rows`"
            )
            yield Finding("rows", text)


def _since_accepted(good: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The newest good runs, back to the one whose fewer rows somebody has accepted."""
    for report in good:
        yield report
        if "rows" in report.get("accepted_guards", ()):
            return


def _quarantined(run: RunContext, counts: Mapping[str, RowCounts]) -> Iterator[Finding]:
    limit = run.plan.pipeline.guard.max_quarantined_share
    for name, ended in counts.items():
        least = 0 if run.scope.whole_buckets else FEW_ROWS
        if run.replayed is not None:  # that they can't be used is known
            least = max(least, run.replayed.rows[name])
        own = {why: n for why, n in ended.quarantined.items() if why[0] != _NOT_OF_THE_ROW}
        unusable = sum(own.values())
        if unusable <= max(least, limit * (ended.rows + ended.copies)):
            continue
        worst = sorted(own.items(), key=lambda pair: -pair[1])[:3]
        reasons = ", ".join(f"{n} {why[0]}{f' ({why[1]})' if why[1] else ''}" for why, n in worst)
        text = (
            f"{name}: {unusable} of {ended.rows + ended.copies} rows can't be used "
            f"({reasons}), more than max_quarantined_share {limit:g} allows"
        )
        yield Finding("quarantined", text)


def _removals(run: RunContext, leaving: Leaving, acceptance: Acceptance) -> Iterator[Finding]:
    guard = run.plan.pipeline.guard
    allowed = max(guard.max_removed, int(guard.max_removed_share * leaving.in_redis))
    if leaving.users <= allowed:
        return
    text = (
        f"{leaving.users} of {leaving.in_redis} users in Redis would be removed, more than "
        f"{allowed} (max_removed, max_removed_share): if they did leave, run again with "
        f"--accept-removals {leaving.users}"
    )
    yield Finding("removals", text, accepted=leaving.users <= acceptance.removals)


def too_many_leaving(run: RunContext, leaving: Leaving, acceptance: Acceptance) -> str | None:
    """What a person must know where more users would be removed than may be; else None."""
    texts = [f.text for f in _removals(run, leaving, acceptance) if not f.accepted]
    return texts[0] if texts else None


def _last_marks(succeeded: Sequence[Mapping[str, Any]]) -> Stale:
    """What the stored documents are marked with: a source that goes or comes back is no change."""
    nightly = [report for report in succeeded if report["kind"] == "nightly"]
    return tuple(nightly[0].get("carried", {}).items()) if nightly else ()


def _changed(
    run: RunContext,
    good: Sequence[Mapping[str, Any]],
    in_redis: int,
    changed_share: Callable[[], float | None],
) -> Iterator[Finding]:
    limit = run.plan.pipeline.guard.max_changed_share
    same_file = good and good[0].get("pipeline") == run.plan.pipeline.fingerprint
    if limit >= 1 or not same_file or in_redis < FEW_CHANGES or not run.scope.everyone:
        return
    share = changed_share()
    if share is not None and share > limit and share * in_redis >= FEW_CHANGES:
        text = (
            f"about {share:.0%} of the documents would change, more than max_changed_share "
            f"{limit:g} allows; if that is right, accept `changed`"
        )
        yield Finding("changed", text)
