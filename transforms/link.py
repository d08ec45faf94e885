"""Link: rows and a crosswalk of the same partition → rows that know the next key, or the user.

A row that leads to nobody, or to more than its link declares, is never guessed.
"""

from __future__ import annotations

import polars as pl

from core.pipeline import Link, UserId
from core.plan import DatasetPlan
from core.records import RowCounts
from transforms.casts import cast_user_id
from transforms.columns import CULPRIT, REASON, USER_ID, key_columns, to_columns
from transforms.normalise import folded
from transforms.quarantine import end_orphans, quarantine

_LEADS_TO = "__leads_to"
_UNFIT = "__unfit"
_KNOWN = "__known"


def follow(
    rows: pl.DataFrame,
    crosswalk: pl.DataFrame | None,
    plan: DatasetPlan,
    hop: int,
    spec: UserId,
) -> tuple[pl.DataFrame | None, RowCounts]:
    """The rows one link further, and the counts of those that end here or were copied.

    Args:
        rows: with the link's key in ``__key0…``.
        crosswalk: as ``normalise.link_rows`` gives it of each chunk, of the same partition; None
            if empty.
        plan: the rows' dataset.
        hop: which of the dataset's links to follow.
        spec: the type of user ids.

    Returns:
        The rows with the link's columns, and with the next link's key in ``__key0…``, or after
        the last link with ``USER_ID``; None where none is left.
    """
    name, link = plan.links[hop]
    counts = RowCounts()
    keys = key_columns(len(link.from_))
    if crosswalk is None:
        end_orphans(rows, "no_link", name, plan, counts)
        return None, counts
    targets = to_columns(len(link.to))
    last = hop == len(plan.links) - 1
    # One target may be spelled in two ways, and the same row stand in several chunks: made equal
    # before they are counted.
    if last:
        crosswalk = _to_users(crosswalk, spec)
    else:
        crosswalk = _to_keys(crosswalk, plan.links[hop + 1][1], targets)
    leads_to = crosswalk.group_by(keys).agg(pl.len().alias(_LEADS_TO), pl.col(_KNOWN).any())
    counted = rows.join(leads_to, on=keys, how="left", maintain_order="left")
    found = pl.col(_KNOWN).fill_null(value=False)
    lost = counted.filter(~found).drop(_LEADS_TO, _KNOWN)
    if lost.height:
        end_orphans(lost, "no_link", name, plan, counts)
    counted = counted.filter(found)
    if link.cardinality == "one":
        quarantine(counted.filter(pl.col(_LEADS_TO) > 1), plan, counts, "ambiguous_link", name)
        counted = counted.filter(pl.col(_LEADS_TO) == 1)
    known = crosswalk.filter(pl.col(_KNOWN)).drop(_KNOWN)
    led = counted.drop(_LEADS_TO, _KNOWN).join(known, on=keys, how="inner")
    counts.copies += led.height - counted.height
    led = led.drop(keys)
    if not last:
        return led.rename(dict(zip(targets, key_columns(len(targets)), strict=True))), counts
    unfit = led.filter(pl.col(_UNFIT).is_not_null())
    blamed = pl.lit(f"{name}.{link.to[0]}").alias(CULPRIT)
    quarantine(unfit.with_columns(pl.col(_UNFIT).alias(REASON), blamed), plan, counts)
    return led.filter(pl.col(_UNFIT).is_null()).drop(_UNFIT), counts


def _to_users(crosswalk: pl.DataFrame, spec: UserId) -> pl.DataFrame:
    """The last crosswalk with ``USER_ID``, or with the reason why its target is none."""
    (target,) = to_columns(1)
    made = cast_user_id(crosswalk[target], spec)
    users = crosswalk.drop(target).with_columns(
        crosswalk[target].is_not_null().alias(_KNOWN),
        made.values.alias(USER_ID),
        (pl.lit(None, pl.String) if made.reasons is None else made.reasons).alias(_UNFIT),
    )
    return users.unique()


def _to_keys(crosswalk: pl.DataFrame, following: Link, targets: list[str]) -> pl.DataFrame:
    """A crosswalk with its targets as the next link compares them."""
    keys = [folded(pl.col(t), crosswalk.schema[t], following).alias(t) for t in targets]
    known = pl.all_horizontal(pl.col(t).is_not_null() for t in targets).alias(_KNOWN)
    return crosswalk.with_columns(*keys, known).unique()
