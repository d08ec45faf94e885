"""Survivorship: which dataset wins for a field that several feed."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from core.pipeline import Survivorship
from core.plan import DatasetPlan
from transforms.encode import Part, scalar_text
from transforms.fields import FieldColumn, cursor_column


def survivor(
    field: str,
    rule: Survivorship,
    feeds: Mapping[str, FieldColumn],
    datasets: Mapping[str, DatasetPlan],
) -> Part:
    """The item of an object that holds the winning value; never null where one is not.

    Args:
        field: its name in the object.
        feeds: by dataset, where its value stands.
        datasets: to know a dataset's source, which ``prefer`` may name as well.
    """

    def rank(name: str) -> int:
        named = (name, datasets[name].source)
        places = [position for position, who in enumerate(rule.prefer) if who in named]
        return min(places, default=len(rule.prefer))

    ranked = sorted(feeds, key=rank)
    is_text = any(column.is_text for column in feeds.values())
    values = {name: _value(feeds[name], as_text=is_text) for name in ranked}
    chosen = [values[name] for name in ranked]
    if rule.policy == "latest":
        cursors = {
            name: pl.when(pl.col(feeds[name].name).is_not_null()).then(pl.col(cursor_column(name)))
            for name in ranked
        }
        last = pl.max_horizontal(cursors.values())
        chosen = [pl.when(cursors[name] == last).then(values[name]) for name in ranked] + chosen
    return Part(field, pl.coalesce(chosen), is_text)


def _value(column: FieldColumn, *, as_text: bool) -> pl.Expr:
    value = pl.col(column.name)
    if not as_text or column.is_text:
        return value
    return pl.when(value.is_not_null()).then(scalar_text(value))
