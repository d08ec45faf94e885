"""Columns of random values, made whole: what all product lines' generators draw from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Random = np.random.Generator

OPENING = datetime(2026, 1, 1, tzinfo=UTC)
"""The bank is generated as of this moment; nothing in it has changed since."""

_FIRST_CHANGE = datetime(2024, 1, 1, tzinfo=UTC)
_US = 1_000_000
_EPOCH = date(1970, 1, 1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return round(moment.timestamp()) * _US


def updated_at(random: Random, rows: int) -> pl.Series:
    """Times of the last change, in the two years before the opening."""
    made = random.integers(microseconds(_FIRST_CHANGE), microseconds(OPENING), rows)
    return pl.Series("updated_at", made).cast(pl.Datetime("us"))


def days(random: Random, rows: int, first: date, last: date) -> Integers:
    """Days since 1970, evenly between two dates."""
    return random.integers((first - _EPOCH).days, (last - _EPOCH).days, rows)


def dates(numbers: Integers) -> pl.Series:
    """Days since 1970 as ISO texts."""
    return pl.Series(numbers).cast(pl.Int32).cast(pl.Date).cast(pl.String)


def instants(numbers: Integers) -> pl.Series:
    """Seconds since 1970 as ISO texts in UTC."""
    return pl.Series(numbers * _US).cast(pl.Datetime("us")).dt.to_string("%Y-%m-%d %H:%M:%S+00")


def money(cents: Integers) -> pl.Series:
    """Cents as decimal texts of two digits behind the point."""
    return (
        pl.Series(cents)
        .cast(pl.Decimal(38, 0))
        .cast(pl.Decimal(38, 2))
        .to_frame("v")
        .select(
            (pl.col("v") / pl.lit(100).cast(pl.Decimal(38, 2)))
            .cast(pl.Decimal(38, 2))
            .cast(pl.String)
        )["v"]
    )


def skewed(random: Random, rows: int, shape: float, scale: float, most: int) -> Integers:
    """How many of something each has: most have few, a few have very many (Lomax)."""
    return np.minimum(np.floor(random.pareto(shape, rows) * scale), most).astype(np.int64)


def chosen(random: Random, rows: int, weights: Sequence[float]) -> Integers:
    """Places in a pool, by weight."""
    bounds = np.cumsum(weights) / np.sum(weights)
    return np.searchsorted(bounds, random.random(rows), side="right").astype(np.int64)


def places(random: Random, rows: int, pool: Sequence[object]) -> Integers:
    """Places in a pool, all alike."""
    return random.integers(0, len(pool), rows)


def numbered(counts: Integers) -> tuple[Integers, Integers]:
    """For each of so many children of each parent: the parent's place, and its own number."""
    parents = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return parents, np.arange(len(parents)) - starts[parents]
