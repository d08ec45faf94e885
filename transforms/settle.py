"""Settle: decides for all rows of some buckets where each one ends, before any is written.

The same decision is taken twice: before the first write, on the few columns it needs, for the
guard; and in the load, on all columns, for the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from core.expressions import condition
from core.pipeline import RESERVED
from core.plan import DatasetPlan, Plan
from core.records import RowCounts
from transforms.columns import BUCKET, REASON, ROW, USER_ID
from transforms.element_keys import element_keys, match_columns
from transforms.lookup import with_lookups
from transforms.quarantine import quarantine

Read = Callable[[str], pl.DataFrame | None]
"""Gives a dataset's rows of the buckets at hand; the anchor's with ``BUCKET``."""

_FOUND = "__found"
_CUT = "__cut"


@dataclass
class Settled:
    """The rows that make the documents of some buckets."""

    users: pl.DataFrame
    """``USER_ID`` and ``BUCKET`` of the users who get a document, in order."""
    held: pl.DataFrame
    """``USER_ID``, ``BUCKET`` and ``REASON`` of the users whose old document stays."""
    rows: dict[str, pl.DataFrame]
    """By dataset, in the order of their lists; datasets without any row are missing."""
    counts: dict[str, RowCounts] = field(default_factory=dict)


def settle(plan: Plan, read: Read, lookups: Mapping[str, pl.DataFrame]) -> Settled | None:
    """Where the rows of some buckets end; None where the buckets have no user and no row."""
    counts = {entry.name: RowCounts() for entry in plan.placed}
    given: dict[str, pl.DataFrame] = {}
    for entry in plan.placed:
        if (found := read(entry.name)) is not None:
            found = with_lookups(found, entry, lookups, entry.late_names)
            given[entry.name] = _chosen(_each_once(found, entry, counts), entry, counts)
    everyone = _everyone(given.get(plan.anchor.name))
    rows: dict[str, pl.DataFrame] = {}
    holds: list[pl.DataFrame] = []
    for entry in plan.placed:
        there: list[pl.DataFrame] = []
        if entry.name in given:
            good, unfit = _fit(given[entry.name], entry, everyone, counts[entry.name])
            rows[entry.name] = good
            there = [good, unfit]
        if everyone is not None and (entry.dataset.required or entry is plan.anchor):
            holds += [*there[1:], _missing(everyone, there, entry)]
    if everyone is None:
        return None if not rows else Settled(_nobody(plan), _nobody(plan), {}, counts)
    held = _held(everyone, holds)
    users = everyone.join(held.select(USER_ID), on=USER_ID, how="anti").sort(USER_ID)
    cut: dict[str, pl.DataFrame] = {}
    for entry in plan.placed:
        if entry.name in rows:
            kept = _of_users(rows[entry.name], held, entry, counts[entry.name])
            kept, beyond = _in_elements(kept, entry, plan, rows, cut, counts[entry.name])
            rows[entry.name], left_out = _ordered(kept, entry, counts[entry.name])
            cut[entry.name] = pl.concat([*beyond, *left_out]) if beyond or left_out else kept[:0]
            counts[entry.name].placed += rows[entry.name].height
    return Settled(users, held, rows, counts)


def _each_once(
    rows: pl.DataFrame, entry: DatasetPlan, counts: Mapping[str, RowCounts]
) -> pl.DataFrame:
    """The rows, each once for each user whom it reached with the same columns brought along."""
    if ROW not in rows.columns:
        return rows
    once = rows.unique([USER_ID, ROW, *_brought(entry)], maintain_order=True).drop(ROW)
    counts[entry.name].copies -= rows.height - once.height
    return once


def _chosen(
    rows: pl.DataFrame, entry: DatasetPlan, counts: Mapping[str, RowCounts]
) -> pl.DataFrame:
    """The rows that the condition on the user, a link's or a lookup's column leaves."""
    if entry.late_where is None:
        return rows
    keep = condition(entry.late_where).fill_null(value=False) | pl.col(REASON).is_not_null()
    if (kept := rows.filter(keep)).height < rows.height:
        counts[entry.name].filtered["where"] += rows.height - kept.height
    return kept


def _everyone(anchor: pl.DataFrame | None) -> pl.DataFrame | None:
    if anchor is None or not anchor.height:
        return None
    return anchor.select(USER_ID, BUCKET).unique(USER_ID, keep="first", maintain_order=True)


def _nobody(plan: Plan) -> pl.DataFrame:
    integer = plan.pipeline.profile.user_id.type == "integer"
    user_type = pl.Int64() if integer else pl.String()
    return pl.DataFrame(schema={USER_ID: user_type, BUCKET: pl.Int32(), REASON: pl.String()})


def _fit(
    rows: pl.DataFrame, entry: DatasetPlan, everyone: pl.DataFrame | None, counts: RowCounts
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows fit for a document, and ``USER_ID``, ``REASON`` of those quarantined here."""
    unfit: list[pl.DataFrame] = []

    def end(gone: pl.DataFrame, reason: str | None, culprit: str) -> None:
        if not gone.height:
            return
        quarantine(gone, entry, counts, reason, culprit)
        if reason is not None:
            gone = gone.with_columns(pl.lit(reason).alias(REASON))
        blamed = pl.concat_str(pl.lit(f"{entry.name}: "), pl.col(REASON)).alias(REASON)
        unfit.append(gone.select(USER_ID, blamed))

    if everyone is None:
        known, strangers = rows.clear(), rows
    else:
        is_known = rows[USER_ID].is_in(everyone[USER_ID].implode())
        known, strangers = rows, rows.clear()
        if not is_known.all():
            known, strangers = rows.filter(is_known), rows.filter(~is_known)
    if entry.dataset.orphans == "quarantine":
        quarantine(strangers, entry, counts, "unknown_user")
    elif strangers.height:
        counts.filtered["unknown_user"] += strangers.height
    if known[REASON].null_count() < known.height:
        end(known.filter(pl.col(REASON).is_not_null()), None, "")
        known = known.filter(pl.col(REASON).is_null())
    for columns in _unique_over(entry):
        if known[columns[-1]].n_unique() == known.height:
            continue  # told in a quarter of the time: one column repeats nowhere by itself
        twice = pl.struct(columns).is_duplicated()
        end(known.filter(twice), "duplicate", ",".join(columns[1:]))
        known = known.filter(~twice)
    nothing = pl.DataFrame(schema={USER_ID: rows.schema[USER_ID], REASON: pl.String()})
    return known, pl.concat(unfit) if unfit else nothing


def _unique_over(entry: DatasetPlan) -> list[list[str]]:
    """The columns that may not repeat together: the primary key's, and those of an object's place.

    A row that a link copied to a user by two ways counts as two, told apart by what it brought.
    """
    unique = []
    if entry.dataset.primary_key:
        unique.append([USER_ID, *entry.dataset.primary_key, *_brought(entry)])
    if not (entry.is_list or entry.is_aggregated or entry.dataset.order_by):
        unique.append([USER_ID, *match_columns(entry)])
    return unique


def _brought(entry: DatasetPlan) -> list[str]:
    return [f"{name}.{column}" for name, link in entry.links for column in link.columns]


def _missing(everyone: pl.DataFrame, there: list[pl.DataFrame], entry: DatasetPlan) -> pl.DataFrame:
    """The users without any row of a dataset that must have one."""
    ids = everyone.select(USER_ID)
    for rows in there:
        ids = ids.join(rows.select(USER_ID), on=USER_ID, how="anti")
    return ids.with_columns(pl.lit(f"{entry.name}: missing").alias(REASON))


def _held(everyone: pl.DataFrame, holds: list[pl.DataFrame]) -> pl.DataFrame:
    """The held users, each with the first reason by alphabet, so that it does not vary."""
    reasons = pl.concat(holds).group_by(USER_ID).agg(pl.col(REASON).min())
    return everyone.join(reasons, on=USER_ID, how="inner").sort(USER_ID)


def _of_users(
    rows: pl.DataFrame, held: pl.DataFrame, entry: DatasetPlan, counts: RowCounts
) -> pl.DataFrame:
    if not held.height:
        return rows
    withheld = rows.join(held.select(USER_ID), on=USER_ID, how="semi")
    quarantine(withheld, entry, counts, "user_held")
    return rows.join(held.select(USER_ID), on=USER_ID, how="anti", maintain_order="left")


def _in_elements(
    rows: pl.DataFrame,
    entry: DatasetPlan,
    plan: Plan,
    settled: Mapping[str, pl.DataFrame],
    cut: Mapping[str, pl.DataFrame],
    counts: RowCounts,
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows whose element of the list around their place exists, and exists once.

    Beside them those whose element a limit left out, if any: they are left out with it.
    """
    if not entry.matches:
        return rows, []
    columns = [USER_ID, *match_columns(entry)]
    parents = [
        element_keys(frames[name], plan.datasets[name], entry.matches, columns).with_columns(
            pl.lit(frames is cut).alias(_CUT)
        )
        for name in entry.parent_datasets
        if name in settled
        for frames in (settled, cut)
    ]
    if not parents:
        found = rows.with_columns(
            pl.lit(None, pl.UInt32).alias(_FOUND), pl.lit(value=False).alias(_CUT)
        )
    else:
        elements = pl.concat(parents).group_by(columns).agg(pl.len().alias(_FOUND), pl.any(_CUT))
        found = rows.join(elements, on=columns, how="left", maintain_order="left")
    element = ",".join(match_columns(entry))
    lost = found.filter(pl.col(_FOUND).is_null())
    if entry.dataset.orphans == "quarantine":
        quarantine(lost, entry, counts, "no_element", element)
    elif lost.height:
        counts.filtered["no_element"] += lost.height
    quarantine(found.filter(pl.col(_FOUND) > 1), entry, counts, "ambiguous_element", element)
    found = found.filter(pl.col(_FOUND) == 1)
    beyond = found.filter(pl.col(_CUT)).drop(_FOUND, _CUT)
    if beyond.height:
        counts.filtered["limit"] += beyond.height
    return found.filter(~pl.col(_CUT)).drop(_FOUND, _CUT), [beyond] if beyond.height else []


def _ordered(
    rows: pl.DataFrame, entry: DatasetPlan, counts: RowCounts
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows in their final order; of an object's rows the first, of a list's the first few.

    Beside them the rows that are left out, if any.

    The order is total: what ``order_by`` and the primary key leave open, all columns decide, so
    that it never depends on the order of arrival.
    """
    if entry.is_aggregated or not (entry.is_list or entry.dataset.order_by):
        return rows, []
    place = [USER_ID, *match_columns(entry)]
    wanted = [order.split() for order in entry.dataset.order_by]
    by = [*place, *(words[0] for words in wanted)]
    descending = [False] * len(place) + [words[-1] == "desc" for words in wanted]
    rest = [*entry.dataset.primary_key, *_brought(entry)]
    if not entry.dataset.primary_key:
        # the values decide before the pipeline's own marks
        rest = sorted(rows.columns, key=lambda name: (name.startswith(RESERVED), name))
    ties = [column for column in rest if column not in by]
    rows = rows.sort(
        [*by, *ties],
        descending=[*descending, *([False] * len(ties))],
        nulls_last=True,
        maintain_order=False,
    )
    limit = entry.dataset.limit if entry.is_list else 1
    if limit is None:
        return rows, []
    first = rows.select(pl.int_range(pl.len()).over(place) < limit).to_series()
    if first.all():
        return rows, []
    left_out = rows.filter(~first)
    counts.filtered["limit" if entry.is_list else "not_first"] += left_out.height
    return rows.filter(first), [left_out]
