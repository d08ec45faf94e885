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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pymysql
import sqlalchemy as sa
from pymysql.converters import encoders
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from connectors.arrow import frame
from connectors.nested import CROSSED, at, parse_json, plain_text, unnest
from connectors.python_values import UNREADABLE, delivered
from connectors.relations import Places, find_places, named, relation_sql
from connectors.sql_errors import meaning
from connectors.sql_stream import DECODERS, StreamCursor
from connectors.sql_types import SqlColumn, as_declared, sql_column
from core.errors import SourceDrift, SourceError, SourceUnavailable
from core.pipeline import Source
from core.records import EMPTY, Consistency, Query
from core.values import ColumnType

_FIRST_ROWS = 1000
_NET_TIMEOUT_S = 24 * 3600
"""How long the server lets a slow reader of a result be."""

_DRIVER_ERRORS = (SQLAlchemyError, pymysql.MySQLError, sqlite3.Error)


class RowsConnector:
    """A snapshot of one MariaDB, MySQL or SQLite database."""

    def __init__(self, name: str, source: Source, url: URL) -> None:
        self._name, self._source = name, source
        self._is_mysql = url.get_backend_name() in ("mysql", "mariadb")
        self._url = _mysql_url(url) if self._is_mysql else _sqlite_url(url)
        self._connection: Connection | None = None
        self._engine: sa.Engine | None = None
        self._described: dict[Query, tuple[Places, dict[str, SqlColumn]]] = {}

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
            if not self._is_mysql:
                return datetime.now(UTC)
            told = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        return datetime.fromisoformat(_text(told) or "").replace(tzinfo=UTC)

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        places, columns = self._plan(query)
        types = {}
        for wanted, place in zip(query.columns, places.columns, strict=True):
            inside = place.element or place.steps
            told = ColumnType("string") if inside else columns[place.column].type
            types[wanted.name] = wanted.type or told
        return types

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        places, columns = self._plan(query)
        connection = self._open_connection()
        with self._edge(query):
            quote = connection.dialect.identifier_preparer
            selected = ", ".join(
                columns[name].expression.format(column=f"t.{quote.quote_identifier(name)}")
                for name in places.source_columns
            )
            relation = relation_sql(query, self._source.db_schema, quote)
            count = f"SELECT count(*) FROM {relation}".replace("%", "%%")
            counted = connection.exec_driver_sql(count)
            sent, seen = int(counted.scalar_one()), 0
            cursor = self._streaming_cursor(connection)
            try:
                cursor.execute(f"SELECT {selected or 1} FROM {relation}")
                most = _FIRST_ROWS
                while rows := cursor.fetchmany(most):
                    seen += len(rows)
                    made, size = _frame(query, places, columns, rows)
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
        return raw.cursor(StreamCursor) if self._is_mysql else raw.cursor()

    def _arguments(self) -> dict[str, Any]:
        timeout = math.ceil(self._source.connect_timeout_s)
        if self._is_mysql:
            read_timeout = math.ceil(self._source.statement_timeout_s)
            decoders: dict[Any, Any] = {**encoders, **DECODERS}
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

    def _plan(self, query: Query) -> tuple[Places, dict[str, SqlColumn]]:
        if query not in self._described:
            with self._edge(query):
                self._described[query] = self._planned(query)
        return self._described[query]

    def _planned(self, query: Query) -> tuple[Places, dict[str, SqlColumn]]:
        connection = self._open_connection()
        available = self._columns(connection, query)
        places = find_places(self._name, query, available)
        quote = connection.dialect.identifier_preparer
        selected = ", ".join(f"t.{quote.quote_identifier(c)}" for c in places.source_columns) or "1"
        relation = relation_sql(query, self._source.db_schema, quote)
        probe = f"SELECT {selected} FROM {relation} LIMIT 0".replace("%", "%%")
        connection.exec_driver_sql(probe).close()
        return places, available

    def _columns(self, connection: Connection, query: Query) -> dict[str, SqlColumn]:
        if query.text:
            preparer = connection.dialect.identifier_preparer
            relation = relation_sql(query, self._source.db_schema, preparer)
            probe = f"SELECT * FROM {relation} LIMIT 0".replace("%", "%%")
            result = connection.exec_driver_sql(probe)
            declared = {column.path: column.type for column in query.columns}
            names = list(result.keys())
            result.close()
            text = ColumnType("string")
            return {name: SqlColumn(declared.get(name) or text, text) for name in names}
        schema, _, table = query.relation.rpartition(".")
        try:
            columns = sa.inspect(connection).get_columns(table, schema or self._source.db_schema)
        except NoSuchTableError:
            problem = f"there is no {named(query)}"
            raise SourceDrift(self._name, problem, query.dataset) from None
        return {
            column["name"]: sql_column(column["type"], is_mysql=self._is_mysql)
            for column in columns
        }

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


def _frame(
    query: Query, places: Places, columns: Mapping[str, SqlColumn], rows: Any
) -> tuple[pd.DataFrame, int]:
    by_name = dict(zip(places.source_columns, map(list, zip(*rows, strict=True)), strict=False))
    documents: dict[str, list[Any]] = {}

    def document(column: str) -> list[Any]:
        if column not in documents:
            documents[column] = [parse_json(_text(text)) for text in by_name[column]]
        return documents[column]

    flags = {}
    unnested = None
    if places.array is not None:
        unnested = unnest(at(document(places.array.column), places.array.steps))
        flags[EMPTY] = pa.array(unnested.empty, pa.bool_())
    made = {}
    for wanted, place in zip(query.columns, places.columns, strict=True):
        if place.element and unnested is not None:
            values = _inside(at(unnested.elements, place.steps), unnested.bad)
            made[wanted.name] = delivered(values, ColumnType("string"), _text)
            continue
        if place.steps:
            values = _inside(at(document(place.column), place.steps))
            form = ColumnType("string")
        else:
            column = as_declared(columns[place.column], wanted.type)
            values, form = _prepared(by_name[place.column], column), column.form
        if unnested is not None:
            values = [values[row] for row in unnested.rows]
        made[wanted.name] = delivered(values, form, _text)
    finished = frame(made, flags)
    return finished, int(sum(array.values.nbytes for array in made.values()))


def _prepared(values: list[Any], column: SqlColumn) -> list[Any]:
    if column.prepare is None:
        return values
    return [None if value is None else column.prepare(value) for value in values]


def _inside(values: Sequence[Any], bad: Sequence[bool] = ()) -> list[Any]:
    """What stands inside documents, as text; what is no one value is unreadable."""
    texts = [UNREADABLE if value is CROSSED else plain_text(value) for value in values]
    if not any(bad):
        return texts
    return [UNREADABLE if is_bad else text for text, is_bad in zip(texts, bad, strict=True)]


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, float):
        return repr(value)
    return None if value is None else str(value)
