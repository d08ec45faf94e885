"""MariaDB, MySQL and SQLite through SQLAlchemy: a server-side cursor, row by row.

Reads: the tables and queries that the pipeline file names, only the columns named there.
Grants: SELECT on the tables or just on those columns.
Order: none; rows come as the server sends them.
One snapshot: one read-only transaction WITH CONSISTENT SNAPSHOT at REPEATABLE READ (InnoDB;
MyISAM tables have none); for SQLite one read transaction (with WAL beside writers).
On failure: an error of ``core.errors``; a lost connection raises, never just ends the rows.
Cannot know: the types of a ``query``'s columns in SQLite: declare them.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pymysql
import sqlalchemy as sa
from pymysql.constants import FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import SSCursor
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from connectors.arrow import frame
from connectors.documents import ABSENT_VALUE, elements, follow, parsed
from connectors.python_values import delivered
from connectors.relations import Places, find_places, named, relation_sql
from connectors.sql_errors import meaning
from core.errors import SourceDrift, SourceError, SourceUnavailable
from core.pipeline import Source
from core.records import EMPTY, Consistency, Query
from core.values import ColumnType

_FIRST_ROWS = 1000
_NET_TIMEOUT_S = 24 * 3600
"""How long the server lets a slow reader of a result be."""

_DRIVER_ERRORS = (SQLAlchemyError, pymysql.MySQLError, sqlite3.Error)

_INTEGERS = ("TINY", "SHORT", "LONG", "INT24", "LONGLONG", "YEAR")
_DECODERS: dict[int, Any] = {getattr(FIELD_TYPE, name): int for name in _INTEGERS}
_DECODERS |= {FIELD_TYPE.FLOAT: float, FIELD_TYPE.DOUBLE: float}


class RowsConnector:
    """A snapshot of one MariaDB, MySQL or SQLite database."""

    def __init__(self, name: str, source: Source, url: URL) -> None:
        self._name, self._source = name, source
        self._is_mysql = url.get_backend_name() in ("mysql", "mariadb")
        self._url = _mysql_url(url) if self._is_mysql else _sqlite_url(url)
        self._connection: Connection | None = None
        self._engine: sa.Engine | None = None
        self._described: dict[Query, tuple[Places, dict[str, ColumnType]]] = {}

    @property
    def consistency(self) -> Consistency:
        return "snapshot"

    def open(self) -> datetime:
        with self._edge(None):
            self._engine = sa.create_engine(
                self._url,
                poolclass=sa.NullPool,
                connect_args=self._arguments(),
                hide_parameters=True,
            )
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection = connection
            for statement in self._opening(connection):
                connection.exec_driver_sql(statement)
        return datetime.now(UTC)

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        _, types = self._plan(query)
        return {column.name: column.type or types[column.name] for column in query.columns}

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        places, types = self._plan(query)
        connection = self._open_connection()
        with self._edge(query):
            quote = connection.dialect.identifier_preparer
            selected = (
                ", ".join(f"t.{quote.quote_identifier(c)}" for c in places.source_columns) or "1"
            )
            relation = relation_sql(query, self._source.db_schema, quote)
            count = f"SELECT count(*) FROM {relation}".replace("%", "%%")
            counted = connection.exec_driver_sql(count)
            sent, seen = int(counted.scalar_one()), 0
            cursor = self._streaming_cursor(connection)
            try:
                cursor.execute(f"SELECT {selected} FROM {relation}")
                most = _FIRST_ROWS
                while rows := cursor.fetchmany(most):
                    seen += len(rows)
                    made, size = _frame(query, places, types, rows)
                    yield made
                    most = max(1, min(100_000, len(rows) * chunk_bytes // max(size, 1)))
            finally:
                with suppress(*_DRIVER_ERRORS):
                    cursor.close()
            if seen != sent:
                text = f"the snapshot has {sent} rows, {seen} arrived"
                raise SourceUnavailable(self._name, text, query.dataset)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        self._described.clear()
        with suppress(*_DRIVER_ERRORS):
            if connection is not None:
                connection.close()
            if engine is not None:
                engine.dispose()

    def _streaming_cursor(self, connection: Connection) -> Any:
        """The driver's own cursor: SQLAlchemy's streams keep rows back in a buffer."""
        raw: Any = connection.connection.driver_connection
        return raw.cursor(SSCursor) if self._is_mysql else raw.cursor()

    def _arguments(self) -> dict[str, Any]:
        timeout = math.ceil(self._source.connect_timeout_s)
        if self._is_mysql:
            read_timeout = math.ceil(self._source.statement_timeout_s)
            decoders: dict[Any, Any] = {**encoders, **_DECODERS}
            return {
                "connect_timeout": timeout,
                "read_timeout": read_timeout,
                "charset": "utf8mb4",
                "conv": decoders,
            }
        return {"timeout": self._source.lock_timeout_s, "check_same_thread": False}

    def _opening(self, connection: Connection) -> list[str]:
        if not self._is_mysql:
            # The first read, not BEGIN, fixes the snapshot.
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.text_factory = _lenient
            return ["PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master"]
        limit_s = self._source.statement_timeout_s
        is_mariadb = connection.dialect.is_mariadb  # type: ignore[attr-defined]
        limit = (
            f"max_statement_time = {limit_s:g}"
            if is_mariadb
            else f"max_execution_time = {int(limit_s * 1000)}"
        )
        return [
            "SET SESSION time_zone = '+00:00'",
            f"SET SESSION net_write_timeout = {_NET_TIMEOUT_S}",
            f"SET SESSION lock_wait_timeout = {math.ceil(self._source.lock_timeout_s)}",
            f"SET SESSION {limit}",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ]

    def _plan(self, query: Query) -> tuple[Places, dict[str, ColumnType]]:
        if query not in self._described:
            with self._edge(query):
                self._described[query] = self._planned(query)
        return self._described[query]

    def _planned(self, query: Query) -> tuple[Places, dict[str, ColumnType]]:
        connection = self._open_connection()
        available = self._columns(connection, query)
        places = find_places(self._name, query, available)
        types = {}
        for column, place in zip(query.columns, places.columns, strict=True):
            inside = place.element or place.steps
            told = ColumnType("string") if inside else available[place.column]
            types[column.name] = (column.type or told) if inside else told
        quote = connection.dialect.identifier_preparer
        selected = ", ".join(f"t.{quote.quote_identifier(c)}" for c in places.source_columns) or "1"
        relation = relation_sql(query, self._source.db_schema, quote)
        probe = f"SELECT {selected} FROM {relation} LIMIT 0".replace("%", "%%")
        connection.exec_driver_sql(probe).close()
        return places, types

    def _columns(self, connection: Connection, query: Query) -> dict[str, ColumnType]:
        if query.text:
            preparer = connection.dialect.identifier_preparer
            relation = relation_sql(query, self._source.db_schema, preparer)
            probe = f"SELECT * FROM {relation} LIMIT 0".replace("%", "%%")
            result = connection.exec_driver_sql(probe)
            declared = {column.path: column.type for column in query.columns}
            names = list(result.keys())
            result.close()
            return {name: declared.get(name) or ColumnType("string") for name in names}
        schema, _, table = query.relation.rpartition(".")
        try:
            columns = sa.inspect(connection).get_columns(table, schema or self._source.db_schema)
        except NoSuchTableError:
            text = f"there is no {named(query)}"
            raise SourceDrift(self._name, text, query.dataset) from None
        return {column["name"]: _type_of(column["type"]) for column in columns}

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise SourceUnavailable(self._name, "the connector is not open")
        return self._connection

    @contextmanager
    def _edge(self, query: Query | None) -> Iterator[None]:
        """Lets no error of the drivers through: their messages quote statements and values."""
        try:
            yield
        except SourceError:
            raise
        except (*_DRIVER_ERRORS, OSError) as error:
            dataset = query.dataset if query is not None else None
            raise meaning(self._name, dataset, error) from None


def _mysql_url(url: URL) -> URL:
    return url.set(drivername="mysql+pymysql")


def _sqlite_url(url: URL) -> URL:
    """The URL in SQLite's read-only mode: a file that is not there is not made."""
    if not url.database or url.database.startswith("file:"):
        return url
    return url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})


def _lenient(raw: bytes) -> str:
    # A lone surrogate is no Unicode: such a text is delivered as unreadable.
    return raw.decode("utf-8", "surrogateescape")


def _type_of(column: Any) -> ColumnType:
    if isinstance(column, sa.Boolean):
        return ColumnType("boolean")
    if isinstance(column, sa.Integer):
        unsigned = bool(getattr(column, "unsigned", False)) and isinstance(column, sa.BigInteger)
        return ColumnType("decimal", 20, 0) if unsigned else ColumnType("integer")
    if isinstance(column, sa.Float):
        return ColumnType("number")
    if isinstance(column, sa.Numeric):
        return ColumnType("decimal", column.precision, column.scale)
    if isinstance(column, sa.DateTime):
        zoned = column.__visit_name__ == "TIMESTAMP"
        return ColumnType("timestamp", zoned=zoned)
    for known, kind in _KINDS:
        if isinstance(column, known):
            return ColumnType(kind)  # type: ignore[arg-type]
    return ColumnType("string")


_KINDS: tuple[tuple[Any, str], ...] = (
    (sa.Date, "date"),
    (sa.Time, "time"),
    (sa.JSON, "json"),
    (sa.LargeBinary, "binary"),
    (sa.types._Binary, "binary"),
    (sa.Uuid, "uuid"),
)


def _frame(
    query: Query, places: Places, types: Mapping[str, ColumnType], rows: Any
) -> tuple[pd.DataFrame, int]:
    by_name = dict(zip(places.source_columns, map(list, zip(*rows, strict=True)), strict=False))
    documents: dict[str, list[Any]] = {}
    indexes: list[int] | None = None
    found: list[Any] = []
    flags = {}
    if places.array is not None:
        arrays = [follow(d, places.array.steps) for d in parsed(by_name[places.array.column])]
        indexes, empty = [], []
        for index, array in enumerate(arrays):
            inner = elements(array)
            found += inner or [ABSENT_VALUE]
            indexes += [index] * (len(inner) or 1)
            empty += [False] * len(inner) or [True]
        flags[EMPTY] = pa.array(empty, pa.bool_())
    columns = {}
    for column, place in zip(query.columns, places.columns, strict=True):
        if place.element:
            values = [follow(element, place.steps) for element in found]
        else:
            values = by_name[place.column]
            if place.steps:
                if place.column not in documents:
                    documents[place.column] = parsed(values)
                values = [follow(document, place.steps) for document in documents[place.column]]
            if indexes is not None:
                values = [values[index] for index in indexes]
        inside = bool(place.element or place.steps)
        form = types[column.name]
        if form.kind in ("json", "array") and not inside:
            form = ColumnType("string")
        columns[column.name] = delivered(values, form, _text)
    made = frame(columns, flags)
    return made, int(sum(array.values.nbytes for array in columns.values()))


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return None if isinstance(value, dict | list) else str(value)
