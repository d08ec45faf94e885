"""Planting: spoils a known share of a table's rows and marks each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from devstack.bank.columns import Random
from devstack.bank.core_rows import OWNER

MESS = "_mess"
"""What was planted in a row (String), or null."""

_NEW = "_new"

STRANGERS = 900_000_000
"""Customer ids from here on belong to nobody."""


@dataclass(frozen=True)
class Mess:
    """One kind of mess.

    Attributes:
        kind: its name, unique in the table.
        reason: why the row ends in quarantine, as the report of a run says it; None where the row
            is good, or where its neighbours decide.
        change: what the columns of a chosen row become.
        how: ``spoil`` changes the row, ``copy`` adds a changed copy of it, ``drop`` takes it away.
    """

    kind: str
    reason: str | None = None
    change: Mapping[str, pl.Expr] = field(default_factory=dict)
    how: Literal["spoil", "copy", "drop"] = "spoil"


@dataclass
class Planted:
    """A table with its messes, and the customers whom one of them concerns."""

    rows: pl.DataFrame
    victims: set[int]


def plant(
    frame: pl.DataFrame,
    messes: Sequence[Mess],
    share: float,
    random: Random,
    fit: pl.Series | None = None,
) -> Planted:
    """The table with messes in a share of its rows; a row gets one at most.

    Args:
        frame: rows with ``OWNER`` and ``MESS``.
        messes: what to plant, all kinds alike.
        share: of the rows, for all messes together.
        random: decides where.
        fit: which rows may be chosen; default: all.
    """
    total = round(frame.height * share)
    free = frame[MESS].is_null() if fit is None else fit & frame[MESS].is_null()
    rows = random.permutation(np.flatnonzero(free.to_numpy()))[:total]
    # Where there is not room for one of each, chance says which kinds there are.
    kinds = random.permutation(len(messes))[np.arange(len(rows)) % len(messes)]
    marks: list[str | None] = [None] * frame.height
    for row, kind in zip(rows.tolist(), kinds.tolist(), strict=True):
        marks[row] = messes[kind].kind
    marked = frame.with_columns(pl.Series(_NEW, marks, dtype=pl.String))
    victims = set(frame[OWNER].gather(rows).to_list())
    return Planted(_changed(marked, messes), victims)


def _changed(marked: pl.DataFrame, messes: Sequence[Mess]) -> pl.DataFrame:
    parts = [marked.filter(pl.col(_NEW).is_null())]
    for mess in messes:
        rows = marked.filter(pl.col(_NEW) == mess.kind)
        change = [value.alias(name) for name, value in mess.change.items()]
        named = rows.with_columns(*change, pl.col(_NEW).alias(MESS))
        if mess.how == "copy":
            parts.append(rows)  # the original is as good as any other row
        if mess.how != "drop":
            parts.append(named.cast(marked.schema))
    return pl.concat(parts).drop(_NEW)


def clean(frame: pl.DataFrame) -> pl.DataFrame:
    """The table without a mess."""
    return frame.with_columns(pl.lit(None, pl.String).alias(MESS))
