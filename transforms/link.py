"""Link: rows and a crosswalk of the same partition → rows that know the next key, or the user.

A row that leads to nobody, or to more than its link declares, is never guessed.
"""

from __future__ import annotations

import polars as pl

from core.pipeline import Link, UserId
from core.plan import DatasetPlan
from core.records import RowCounts
from transforms.casts import cast_user_id
from transforms.columns import USER_ID, key_columns, to_columns
from transforms.normalise import counted_reasons, end_orphans, folded

_LEADS_TO = "__leads_to"
_UNFIT = "__unfit"


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
    last = hop == len(plan.links) - 1
    # the same row may stand in several chunks
    crosswalk = _to_users(crosswalk, spec) if last else crosswalk.unique()
    leads_to = crosswalk.group_by(keys).agg(pl.len().alias(_LEADS_TO))
    counted = rows.join(leads_to, on=keys, how="left", maintain_order="left")
    lost = counted.filter(pl.col(_LEADS_TO).is_null()).drop(_LEADS_TO)
    if lost.height:
        end_orphans(lost, "no_link", name, plan, counts)
    if link.cardinality == "one":
        ambiguous = counted.filter(pl.col(_LEADS_TO) > 1).height
        if ambiguous:
            counts.quarantined["ambiguous_link", name] += ambiguous
        counted = counted.filter(pl.col(_LEADS_TO) == 1)
    else:
        counted = counted.filter(pl.col(_LEADS_TO).is_not_null())
    led = counted.drop(_LEADS_TO).join(crosswalk, on=keys, how="inner")
    counts.copies += led.height - counted.height
    led = led.drop(keys)
    if not last:
        return _with_next_key(led, plan.links[hop + 1][1], to_columns(len(link.to))), counts
    counts.quarantined += counted_reasons(led[_UNFIT], f"{name}.{link.to[0]}")
    return led.filter(pl.col(_UNFIT).is_null()).drop(_UNFIT), counts


def _to_users(crosswalk: pl.DataFrame, spec: UserId) -> pl.DataFrame:
    """The last crosswalk with ``USER_ID``, or with the reason why its target is none.

    Cast before rows are counted: ``7`` and ``07`` may be one user.
    """
    (target,) = to_columns(1)
    made = cast_user_id(crosswalk[target], spec)
    users = crosswalk.drop(target).with_columns(
        made.values.alias(USER_ID),
        (pl.lit(None, pl.String) if made.reasons is None else made.reasons).alias(_UNFIT),
    )
    return users.unique()


def _with_next_key(led: pl.DataFrame, following: Link, targets: list[str]) -> pl.DataFrame:
    keys = key_columns(len(targets))
    return led.with_columns(
        folded(pl.col(target), led.schema[target], following).alias(key)
        for target, key in zip(targets, keys, strict=True)
    ).drop(targets)
