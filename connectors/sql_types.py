"""The columns of MariaDB, MySQL and SQLite: their types, and how their values are delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from connectors.arrow import TEXT_KINDS
from core.values import ColumnType

Prepare = Callable[[Any], Any]


class SqlColumn(NamedTuple):
    """A column's type, the kind in whose form it is delivered, and what to do to its values."""

    type: ColumnType
    form: ColumnType
    prepare: Prepare | None = None
    expression: str = "{column}"
    """What to select, where the column itself loses something."""


_TEXT = ColumnType("string")

_KINDS: tuple[tuple[Any, ColumnType], ...] = (
    (sa.Date, ColumnType("date")),
    (sa.Time, ColumnType("time")),
    (sa.JSON, ColumnType("json")),
    (sa.LargeBinary, ColumnType("binary")),
    (sa.types._Binary, ColumnType("binary")),
    (sa.Uuid, ColumnType("uuid")),
)


def sql_column(column: Any, *, is_mysql: bool) -> SqlColumn:
    """How a column of SQLAlchemy's type is read.

    SQLite's values have types of their own, so its numbers are delivered as text.
    """
    if isinstance(column, mysql.BIT):
        integer = ColumnType("integer")
        return SqlColumn(integer, integer, lambda bits: int.from_bytes(bits, "big"))
    if isinstance(column, sa.Boolean):
        return SqlColumn(ColumnType("boolean"), ColumnType("boolean") if is_mysql else _TEXT)
    if isinstance(column, sa.Integer | mysql.YEAR):
        beyond = bool(getattr(column, "unsigned", False)) and isinstance(column, sa.BigInteger)
        form = _TEXT if beyond or not is_mysql else ColumnType("integer")
        return SqlColumn(ColumnType("integer"), form)
    if isinstance(column, mysql.FLOAT):
        number = ColumnType("number")
        return SqlColumn(number, number, _shortest, "CAST({column} AS DOUBLE)")
    if isinstance(column, sa.Float):
        return SqlColumn(ColumnType("number"), ColumnType("number") if is_mysql else _TEXT)
    if isinstance(column, sa.Numeric):
        return SqlColumn(ColumnType("decimal", column.precision, column.scale), _TEXT)
    if isinstance(column, sa.DateTime):
        zoned = column.__visit_name__ == "TIMESTAMP" and is_mysql
        return SqlColumn(ColumnType("timestamp", zoned=zoned), _TEXT, _in_utc if zoned else None)
    for known, kind in _KINDS:
        if isinstance(column, known):
            return SqlColumn(kind, kind if kind.kind == "binary" else _TEXT)
    return SqlColumn(_TEXT, _TEXT)


def as_declared(column: SqlColumn, declared: ColumnType | None) -> SqlColumn:
    """The same column, where bytes that are declared as text are to be decoded."""
    if declared is not None and declared.kind in TEXT_KINDS and column.form.kind == "binary":
        return column._replace(form=_TEXT)
    return column


def _shortest(double: float) -> float:
    """A 4-byte float's value by its own shortest text: 0.1 stays 0.1."""
    return float(str(np.float32(double)))


def _in_utc(text: str) -> str:
    """The session's zone is UTC, which the server's text does not say."""
    return text if text.startswith("0000") else f"{text}+00:00"
