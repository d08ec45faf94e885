"""Lookups: reference tables that belong to no user, joined by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from core.plan import DatasetPlan

FOUND = "__lookup."
"""Prefix of the boolean columns that tell whether a lookup found its row."""


def lookup_table(rows: pl.DataFrame, key: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A reference dataset's rows by unique key, and those that a repeated key costs."""
    known = rows.filter(pl.col(key).is_not_null())
    repeated = known[key].is_duplicated()
    return known.filter(~repeated), known.filter(repeated)


def in_order(entry: DatasetPlan) -> list[str]:
    """A dataset's lookups, each behind the one whose column it is joined on.

    Those that wait for each other in a circle are left out.
    """
    ordered: list[str] = []
    for _ in entry.dataset.lookups:
        for alias, lookup in entry.dataset.lookups.items():
            needs = lookup.on.partition(".")[0] if lookup.on in entry.late_names else ""
            if alias not in ordered and (needs not in entry.dataset.lookups or needs in ordered):
                ordered.append(alias)
    return ordered


def with_lookups(
    rows: pl.DataFrame,
    entry: DatasetPlan,
    tables: Mapping[str, pl.DataFrame],
    names: Sequence[str],
) -> pl.DataFrame:
    """The rows with those columns ``lookup.column`` among the given names, null where not found.

    Args:
        tables: reference rows by ``dataset:key``, as ``lookup_table`` makes them.
    """
    for alias in in_order(entry):
        lookup = entry.dataset.lookups[alias]
        wanted = [name for name in names if name.startswith(f"{alias}.")]
        if not wanted or wanted[0] in rows.columns:
            continue
        table = tables[f"{lookup.dataset}:{lookup.key}"]
        columns = [pl.col(name.removeprefix(f"{alias}.")).alias(name) for name in wanted]
        found = pl.lit(value=True).alias(FOUND + alias)
        side = table.select(pl.col(lookup.key).alias(lookup.on), *columns, found)
        rows = rows.join(side, on=lookup.on, how="left", maintain_order="left")
        rows = rows.with_columns(pl.col(FOUND + alias).fill_null(value=False))
    return rows
