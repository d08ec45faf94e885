"""MariaDB, MySQL and SQLite through SQLAlchemy: a server-side cursor, row by row.

Reads: the tables and queries that the pipeline file names, only the columns named there.
Grants: SELECT on the tables; MariaDB does not describe one to whom it grants columns only.
Order: none; rows come as the server sends them.
One snapshot: one read-only transaction WITH CONSISTENT SNAPSHOT at REPEATABLE READ (where a table
of an engine without transactions is read, as MyISAM's, ``consistency`` says ``none``); for SQLite
one read transaction (with WAL beside writers).
Time: the server's, less what a replica says to be behind.
On failure: an error of ``core.errors``; a lost connection raises, never just ends the rows.
Cannot know: the types of a ``query``'s columns in SQLite: declare them.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
import pymysql
import sqlalchemy as sa
from pymysql.converters import encoders
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError
from sqlalchemy.sql.compiler import IdentifierPreparer

from connectors import mysql_filters, sqlite_filters
from connectors.filter_values import shape
from connectors.mysql_session import behind_s, has_snapshots, opening
from connectors.relations import Places, find_places, relation_sql, unknown_table
from connectors.replicas import bound_lag
from connectors.sql_errors import meaning
from connectors.sql_filters import Filterable, where
from connectors.sql_frames import as_text, rows_frame
from connectors.sql_stream import DECODERS, StreamCursor
from connectors.sql_types import SqlColumn, sql_column, told_column
from connectors.tls import mysql_tls
from core.errors import SourceDrift, SourceError, SourceUnavailable
from core.pipeline import Source
from core.records import Consistency, Query
from core.values import ColumnType

_FIRST_ROWS = 1000
_DRIVER_ERRORS = (SQLAlchemyError, pymysql.MySQLError, sqlite3.Error)


class _Planned(NamedTuple):
    """What is known of queries of one shape: where their columns stand, and what these hold."""

    places: Places
    columns: dict[str, SqlColumn]
    filterable: dict[str, Filterable]


class RowsConnector:
    """A snapshot of one MariaDB, MySQL or SQLite database."""

    def __init__(self, name: str, source: Source, url: URL) -> None:
        self._name, self._source = name, source
        self._is_mysql = url.get_backend_name() in ("mysql", "mariadb")
        self._tls: dict[str, Any] = {}
        if self._is_mysql:
            url, self._tls = mysql_tls(name, url)
        self._url = _mysql_url(url) if self._is_mysql else _sqlite_url(url)
        self._connection: Connection | None = None
        self._engine: sa.Engine | None = None
        self._rules = mysql_filters.RULES if self._is_mysql else sqlite_filters.RULES
        self._described: dict[Query, _Planned] = {}
        self._consistency: Consistency = "snapshot"

    @property
    def consistency(self) -> Consistency:
        return self._consistency

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
            if not self._is_mysql:
                self._open_sqlite(connection)
                return datetime.now(UTC)
            is_mariadb: bool = connection.dialect.is_mariadb  # type: ignore[attr-defined]
            behind = behind_s(connection, is_mariadb=is_mariadb)
            bound_lag(self._name, self._source, behind)
            for statement in opening(self._source, is_mariadb=is_mariadb):
                connection.exec_driver_sql(statement)
            told = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        now = datetime.fromisoformat(as_text(told) or "").replace(tzinfo=UTC)
        return now - timedelta(seconds=behind or 0)

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        places, columns, _ = self._plan(query)
        types = {}
        for wanted, place in zip(query.columns, places.columns, strict=True):
            inside = place.element or place.steps
            told = ColumnType("string") if inside else columns[place.column].type
            types[wanted.name] = wanted.type or told
        return types

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        places, columns, _ = self._plan(query)
        connection = self._open_connection()
        with self._edge(query):
            counting, reading, parameters = self._statements(query)
            counted = connection.exec_driver_sql(counting, parameters)
            sent, seen = int(counted.scalar_one()), 0
            cursor = self._streaming_cursor(connection)
            try:
                cursor.execute(reading, parameters)
                most = _FIRST_ROWS
                while rows := cursor.fetchmany(most):
                    seen += len(rows)
                    made, size = rows_frame(query, places, columns, rows)
                    yield made
                    most = max(1, min(100_000, len(rows) * chunk_bytes // max(size, 1)))
            finally:
                with suppress(*_DRIVER_ERRORS):
                    cursor.close()
            if seen != sent and self._consistency == "snapshot":
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
                **self._tls,
                "connect_timeout": timeout,
                "read_timeout": read_timeout,
                "charset": "utf8mb4",
                "conv": decoders,
            }
        return {"timeout": self._source.lock_timeout_s, "check_same_thread": False}

    def _open_sqlite(self, connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.text_factory = _lenient
        # The first read, not BEGIN, fixes the snapshot.
        for statement in ("PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master"):
            connection.exec_driver_sql(statement)

    def _statements(self, query: Query) -> tuple[str, str, tuple[Any, ...]]:
        """What counts the rows and what reads them, with the parameters of both."""
        places, columns, filterable = self._plan(query)
        selected = ", ".join(
            columns[name].expression.format(column=self._quoted(name))
            for name in places.source_columns
        )
        relation = self._relation(query)
        condition = where(query, filterable, self._rules)
        return (
            f"SELECT count(*) FROM {relation}{condition.sql}",
            f"SELECT {selected or 1} FROM {relation}{condition.sql}",
            condition.parameters,
        )

    def _plan(self, query: Query) -> _Planned:
        asked = shape(query)
        if asked not in self._described:
            with self._edge(query):
                self._described[asked] = self._planned(query)
        return self._described[asked]

    def _planned(self, query: Query) -> _Planned:
        connection = self._open_connection()
        available = self._columns(connection, query)
        places = find_places(self._name, query, available)
        selected = ", ".join(map(self._quoted, places.source_columns)) or "1"
        relation = self._relation(query)
        connection.exec_driver_sql(f"SELECT {selected} FROM {relation} LIMIT 0", ()).close()
        filterable = {}
        for wanted, place in zip(query.columns, places.columns, strict=True):
            if not place.steps and not place.element:
                sql, column = self._quoted(place.column), available[place.column]
                filterable[wanted.name] = Filterable(sql, column, wanted.type)
        for name in {key.column for key in query.keys} & set(filterable):
            probe = self._rules.probe(filterable[name], relation)
            if probe is None:
                continue
            charset, folds = connection.exec_driver_sql(probe, ()).one()
            folds = None if folds is None else bool(folds)
            told = replace(filterable[name], charset=as_text(charset) or "", folds=folds)
            filterable[name] = told
        return _Planned(places, available, filterable)

    def _quoted(self, column: str) -> str:
        return self._escaped(f"t.{self._preparer.quote_identifier(column)}")

    def _relation(self, query: Query) -> str:
        return self._escaped(relation_sql(query, self._source.db_schema, self._preparer))

    def _escaped(self, sql: str) -> str:
        # PyMySQL writes the parameters in with the operator %.
        return sql.replace("%", "%%") if self._is_mysql else sql

    @property
    def _preparer(self) -> IdentifierPreparer:
        return self._open_connection().dialect.identifier_preparer

    def _columns(self, connection: Connection, query: Query) -> dict[str, SqlColumn]:
        if query.text:
            probe = f"SELECT * FROM {self._relation(query)} LIMIT 0"
            result = connection.exec_driver_sql(probe, ())
            declared = {column.path: column.type for column in query.columns}
            described = list(result.cursor.description) if result.cursor else []
            result.close()
            return {told[0]: told_column(told[1], declared.get(told[0])) for told in described}
        schema, _, table = query.relation.rpartition(".")
        try:
            columns = sa.inspect(connection).get_columns(table, schema or self._source.db_schema)
        except NoSuchTableError:
            problem = unknown_table(query, self._source.db_schema)
            raise SourceDrift(self._name, problem, query.dataset) from None
        own_schema = schema or self._source.db_schema
        if self._is_mysql and not has_snapshots(connection, own_schema, table):
            self._consistency = "none"
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
