"""How rows find the element of a list: the elements' key fields, as columns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from core.expressions import formula
from core.into import Match, parse_into
from core.pipeline import FieldEntry
from core.plan import DatasetPlan
from core.shape import fields_of
from transforms.columns import USER_ID


def match_columns(entry: DatasetPlan) -> list[str]:
    """A dataset's columns with the key of the element that a row belongs to."""
    return [match.column for match in entry.matches]


def field_expression(name: str, entry: FieldEntry) -> pl.Expr:
    """The typed value of a field that is no aggregate."""
    if entry.constant is not None:
        return pl.lit(entry.constant)
    if entry.derive is not None:
        return formula(entry.derive)
    return pl.col(entry.column or name)


def element_keys(
    rows: pl.DataFrame, parent: DatasetPlan, matches: Sequence[Match], names: Sequence[str]
) -> pl.DataFrame:
    """The keys of a list's elements: ``USER_ID`` and the key fields, under the given names."""
    keys = [key_expression(parent, match.element) for match in matches]
    return rows.select(
        expression.alias(name)
        for expression, name in zip([pl.col(USER_ID), *keys], names, strict=True)
    )


def key_expression(parent: DatasetPlan, element: str) -> pl.Expr:
    """One key of a list's elements: a field, a column, or the key of a list around."""
    around = parse_into(parent.dataset.into or ".").keys_around
    if element in around:
        return pl.col(around[element])
    fields = fields_of(parent.dataset)
    return field_expression(element, fields[element]) if element in fields else pl.col(element)
