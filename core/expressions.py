"""The expressions of a pipeline file: ``where`` conditions and ``derive`` formulas.

They are SQL expressions, read by Polars; a mapping is short for equalities joined by AND.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from core.pipeline import Where

_OVER_ROWS = {"Agg", "Correlation", "Explode", "Len", "Over", "Quantile"}
"""Polars' names of what sees more rows than one: aggregates, windows, UNNEST, ROW_NUMBER."""


def formula(text: str) -> pl.Expr:
    """The expression that an SQL text says.

    Raises:
        ValueError: where the text is no SQL expression, or one over several rows: these may be
            of several users.
    """
    try:
        expression = pl.sql_expr(text)
    except PolarsError as error:
        raise ValueError(f"{text!r} is no SQL expression: {str(error).splitlines()[0]}") from None
    if _spans_rows(json.loads(expression.meta.serialize(format="json"))):
        raise ValueError(f"{text!r} needs other rows than the one at hand; see `aggregate`")
    return expression


def _spans_rows(node: Any) -> bool:
    """Whether an expression, as Polars writes it, has a node that reads or makes other rows."""
    if isinstance(node, dict):
        inner = (value for key, value in node.items() if key not in ("Column", "Literal"))
        return not _OVER_ROWS.isdisjoint(node) or any(map(_spans_rows, inner))
    if isinstance(node, list):
        return any(map(_spans_rows, node))
    return node in _OVER_ROWS


def condition(where: Where) -> pl.Expr:
    """The boolean expression of a ``where``; null counts as false where rows are filtered.

    Raises:
        ValueError: where the text is no SQL expression.
    """
    if isinstance(where, str):
        return formula(where)
    parts = [_equality(name, wanted) for name, wanted in where.items()]
    return pl.all_horizontal(parts) if parts else pl.lit(True)


def names_in(where: Where) -> list[str]:
    """The columns that a ``where`` or a formula reads, each once, in order.

    Raises:
        ValueError: where the text is no SQL expression.
    """
    if isinstance(where, str):
        return list(dict.fromkeys(formula(where).meta.root_names()))
    return list(where)


def type_problem(expression: pl.Expr, schema: dict[str, pl.DataType]) -> str | None:
    """Why an expression can't work on columns of these types; None where it can."""
    try:
        pl.DataFrame(schema=schema).select(expression.alias("_"))
    except PolarsError as error:
        return str(error).splitlines()[0]
    return None


def _equality(name: str, wanted: Any) -> pl.Expr:
    column = pl.col(name)
    if wanted is None:
        return column.is_null()
    if isinstance(wanted, list):
        return column.is_in(wanted)
    return column == pl.lit(wanted)
