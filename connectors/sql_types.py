"""The columns of MariaDB, MySQL and SQLite: their types, and how their values are delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from pymysql.constants import FIELD_TYPE
from sqlalchemy.dialects import mysql

from connectors.arrow import TEXT_KINDS
from core.values import ColumnType

Prepare = Callable[[Any], Any]

Compared = Literal["integer", "decimal", "double", "text", "uuid", "timestamp", "datetime", "date"]


class SqlColumn(NamedTuple):
    """A column's type, the kind in whose form it is delivered, and what to do to its values."""

    type: ColumnType
    form: ColumnType
    prepare: Prepare | None = None
    expression: str = "{column}"
    """What to select, where the column itself loses something."""
    compared: Compared | None = None
    """As what MariaDB and MySQL compare it, where values can be compared with it."""


_TEXT = ColumnType("string")

_KINDS: tuple[tuple[Any, ColumnType], ...] = (
    (sa.Date, ColumnType("date")),
    (sa.Time, ColumnType("time")),
    (sa.JSON, ColumnType("json")),
    (sa.LargeBinary, ColumnType("binary")),
    (sa.types._Binary, ColumnType("binary")),
    (sa.Uuid, ColumnType("uuid")),
)


_COMPARED: tuple[tuple[Any, Compared | None], ...] = (
    (sa.Integer, "integer"),
    (sa.Double, "double"),
    (sa.Float, None),  # of 4 bytes, delivered as another number than it is compared as
    (sa.Numeric, "decimal"),
    (sa.String | sa.LargeBinary | sa.types._Binary, "text"),
    (sa.Uuid, "uuid"),
    (sa.TIMESTAMP, "timestamp"),
    (sa.DateTime, "datetime"),
    (sa.Date, "date"),
)
"""By SQLAlchemy's type, the first that fits."""

_INTEGERS = ("TINY", "SHORT", "LONG", "INT24", "LONGLONG")

_COMPARED_FIELDS: dict[int, Compared] = {
    **dict.fromkeys([getattr(FIELD_TYPE, name) for name in _INTEGERS], "integer"),
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.VARCHAR: "text",
    FIELD_TYPE.VAR_STRING: "text",
    FIELD_TYPE.STRING: "text",
    FIELD_TYPE.BLOB: "text",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.DATE: "date",
}
"""By the type that a result's column has."""


def told_column(field_type: Any, declared: ColumnType | None) -> SqlColumn:
    """How a column of a query's result is read, whose type only the database's driver tells."""
    text = ColumnType("string")
    compared = _COMPARED_FIELDS.get(field_type) if isinstance(field_type, int) else None
    return SqlColumn(declared or text, text, compared=compared)


def sql_column(column: Any, *, is_mysql: bool) -> SqlColumn:
    """How a column of SQLAlchemy's type is read.

    SQLite's values have types of their own, so its numbers are delivered as text.
    """
    compared = next((name for known, name in _COMPARED if isinstance(column, known)), None)
    return _read_as(column, is_mysql=is_mysql)._replace(compared=compared)


def _read_as(column: Any, *, is_mysql: bool) -> SqlColumn:
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
        zoned = column.__visit_name__ == "TIMESTAMP" if is_mysql else None
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
