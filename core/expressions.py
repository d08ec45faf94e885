"""The expressions of a pipeline file: ``where`` conditions and ``derive`` formulas.

They are SQL expressions, read by Polars; a mapping is short for equalities joined by AND.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from core.pipeline import Where


def formula(text: str) -> pl.Expr:
    """The expression that an SQL text says.

    Raises:
        ValueError: where the text is no SQL expression.
    """
    try:
        return pl.sql_expr(text)
    except PolarsError as error:
        raise ValueError(f"{text!r} is no SQL expression: {str(error).splitlines()[0]}") from None


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
