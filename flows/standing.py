"""Standing: how fresh the profiles are now, and what waits for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.plan import Plan
from flows.watermarks import unseen

Told = dict[str, Any]


def standing(
    plan: Plan,
    reports: Sequence[Mapping[str, Any]],
    seen: Mapping[str, datetime],
    now: datetime,
) -> Told:
    """How a profile stands.

    Args:
        reports: of its last runs, the newest first.
        seen: by source, up to when its changes are in Redis.

    Returns:
        ``sources``: by name ``seen`` (up to when) and ``age_s``, null before the first complete
        run; ``complete``: the last complete run, null where none is kept; ``held``: users that it
        held; ``guard``: the kinds of run whose last one the guard stopped, with its findings;
        ``unseen``: what incremental runs of this pipeline can't see.
    """
    good = [r for r in reports if r["status"] == "success" and r["complete"]]
    return {
        "sources": {name: _freshness(seen.get(name), now) for name in plan.pipeline.sources},
        "complete": _run(good[0], now) if good else None,
        "held": good[0]["held"] if good else None,
        "guard": [
            {**_run(report, now), "findings": report["guard"]}
            for report in _newest_of_each_kind(reports)
            if report.get("guard")
        ],
        "unseen": unseen(plan),
    }


def _freshness(seen: datetime | None, now: datetime) -> Told:
    if seen is None:
        return {"seen": None, "age_s": None}
    told = seen.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"seen": told, "age_s": round((now - seen).total_seconds(), 1)}


def _run(report: Mapping[str, Any], now: datetime) -> Told:
    told = {name: report[name] for name in ("kind", "run", "epoch", "started")}
    age = now - datetime.fromisoformat(report["started"])
    return {**told, "age_s": round(age.total_seconds(), 1)}


def _newest_of_each_kind(reports: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({report["kind"]: report for report in reversed(reports)}.values())
