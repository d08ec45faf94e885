"""Quarantine: where rows end that can't be used, counted, and kept by what tells which they are."""

from __future__ import annotations

import polars as pl

from core.plan import DatasetPlan
from core.records import RowCounts
from transforms.columns import CULPRIT, REASON, USER_ID


def quarantine(
    rows: pl.DataFrame,
    plan: DatasetPlan,
    counts: RowCounts,
    reason: str | None = None,
    column: str = "",
) -> None:
    """Ends rows in quarantine.

    Args:
        rows: of the dataset of ``plan``; with ``USER_ID`` where they have led to a user.
        reason: why, for all of them; None where ``REASON`` and ``CULPRIT`` tell.
        column: the column or link to blame for it.
    """
    if not rows.height:
        return
    if reason is not None:
        counts.quarantine.add(reason, column, _identity(rows, plan))
        return
    for (why, culprit), part in rows.group_by(REASON, CULPRIT, maintain_order=True):
        counts.quarantine.add(str(why), str(culprit or ""), _identity(part, plan))


def end_orphans(
    lost: pl.DataFrame, why: str, column: str, plan: DatasetPlan, counts: RowCounts
) -> None:
    """Ends rows that lead to no user, by the dataset's rule; a bad row keeps its own reason."""
    is_bad = lost[REASON].is_not_null()
    quarantine(lost.filter(is_bad), plan, counts)
    rest = lost.filter(~is_bad)
    if plan.dataset.orphans == "quarantine":
        quarantine(rest, plan, counts, why, column)
    elif rest.height:
        counts.filtered[why] += rest.height


def _identity(rows: pl.DataFrame, plan: DatasetPlan) -> pl.DataFrame:
    """What tells which rows they are, as texts: the user, if known, and ``plan.identity``."""
    names = [name for name in (USER_ID, *plan.identity) if name in rows.columns]
    return rows.select(pl.col(name).cast(pl.String) for name in names)
