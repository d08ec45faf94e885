"""PostgreSQL, read by columns: ``COPY (SELECT …) TO STDOUT`` parsed by Arrow.

Reads: the tables and queries that the pipeline file names, only the columns named there.
Grants: CONNECT, USAGE on the schema, SELECT on the tables or just on those columns.
Order: none; rows come as the server sends them.
One snapshot: everything runs in one REPEATABLE READ READ ONLY transaction, on a standby too; a
table that was truncated or rewritten meanwhile is a SourceConflict.
On failure: an error of ``core.errors``; a read counts as whole only when the number of rows that
the server says it sent has arrived. After an early end of ``read`` the connection serves on.
Cannot know: rows that a row-level security policy hides from the user.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import psycopg
import pyarrow as pa
from sqlalchemy.engine import URL

from connectors.arrow import Delivered, frame, from_hex, text
from connectors.chunks import Message, chunks
from connectors.copy_csv import parse
from connectors.filter_values import shape
from connectors.postgres_columns import TYPES_SQL, PgType, resolve
from connectors.postgres_errors import connect_error, statement_error
from connectors.postgres_filters import folding_probe, where
from connectors.postgres_statement import Statement, statement
from connectors.relations import find_places, relation_sql, table_sql, unknown_table
from connectors.replicas import bound_lag
from connectors.tls import check_postgres
from core.errors import SourceConflict, SourceDrift, SourceError, SourceUnavailable
from core.pipeline import Source
from core.records import EMPTY, Consistency, Query
from core.values import ColumnType

IDLE_MS = 24 * 3600 * 1000
"""How long the snapshot may stay open between two reads."""

SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": str(IDLE_MS),
}

BEHIND = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
       WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
            AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
       ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8
"""
"""Seconds that a standby is behind. Where it has replayed all that it receives, it is not, however
long ago the primary had something to do; null where it has replayed nothing yet."""

REWRITTEN = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.relation >= 16384
    AND CASE WHEN c.oid IS NULL THEN pg_get_indexdef(l.relation) IS NULL
        ELSE c.relkind IN ('r', 'm') AND pg_relation_filenode(c.oid) <> c.relfilenode END)
"""
"""Whether a table that this transaction has opened is another file than in its snapshot. Such a
table looks empty: TRUNCATE, and ALTER TABLE where it rewrites, don't keep old rows ("Caveats" of
PostgreSQL's chapter on concurrency)."""

AS_OF = """
SELECT CASE WHEN pg_is_in_recovery()
       THEN least(now(), coalesce(pg_last_xact_replay_timestamp(), now()))
       ELSE now() END, current_setting('server_encoding')
"""
"""The first statement, which fixes the snapshot. A standby is as old as what it replayed last."""

COLUMNS = """
SELECT attname::text FROM pg_catalog.pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""

KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class PostgresConnector:
    """A snapshot of one PostgreSQL database."""

    def __init__(self, name: str, source: Source, url: URL) -> None:
        self._name, self._source = name, source
        check_postgres(name, url)
        dialect = url.set(drivername="postgresql+psycopg").get_dialect()()
        self._quote = dialect.identifier_preparer
        self._place = f"{url.host or 'the local socket'}:{url.port or 5432}"
        _, self._arguments = dialect.create_connect_args(url)
        self._connection: psycopg.Connection[Any] | None = None
        self._ascii, self._is_utf8 = False, True
        self._statements: dict[Query, Statement] = {}

    @property
    def consistency(self) -> Consistency:
        return "snapshot"

    def open(self) -> datetime:
        options = {
            "application_name": "profile-prefetch",
            # libpq takes whole seconds.
            "connect_timeout": math.ceil(self._source.connect_timeout_s),
            **KEEPALIVE,
            **self._arguments,
            "client_encoding": "UTF8",
        }
        try:
            # Prepared statements would outlive the transaction behind a pooler.
            connection = psycopg.connect(**options, prepare_threshold=None)
        except psycopg.Error as error:
            raise connect_error(self._name, self._place, error) from None
        self._connection = connection
        with self._edge(None):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for setting, value in self._settings(connection).items():
                connection.execute(f"SET LOCAL {setting} = '{value}'".encode())
            as_of, encoding = connection.execute(AS_OF).fetchone() or (datetime.now(UTC), "")
            bound_lag(self._name, self._source, _behind_s(connection))
        self._ascii = encoding == "SQL_ASCII"
        self._is_utf8 = encoding in {"UTF8", "SQL_ASCII"}
        return as_of.astimezone(UTC)

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        columns = self._statement(query).columns
        return {
            wanted.name: column.type for wanted, column in zip(query.columns, columns, strict=True)
        }

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        planned = self._statement(query)
        connection, seen, sent = self._open_connection(), 0, 0
        # The savepoint keeps the snapshot when the caller stops before the end.
        # A database without an encoding sends nothing but UTF-8, unless told to send it as it is.
        encoding = ", ENCODING 'SQL_ASCII'" if self._ascii else ""
        command = f"COPY ({self._select(query)}) TO STDOUT (FORMAT csv{encoding})".encode()
        with (
            self._edge(query),
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(command) as copy,
        ):
            for rows in chunks(copy, chunk_bytes):
                seen += len(rows)
                yield self._frame(query, planned, rows)
            sent = max(cursor.rowcount, 0)
        if seen != sent:
            raise SourceUnavailable(
                self._name, f"the server sent {sent} rows, {seen} arrived", query.dataset
            )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._statements.clear()
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _settings(self, connection: psycopg.Connection[Any]) -> dict[str, str]:
        limits = {
            "statement_timeout": str(round(self._source.statement_timeout_s * 1000)),
            "lock_timeout": str(round(self._source.lock_timeout_s * 1000)),
        }
        if connection.info.server_version >= 170000:
            limits["transaction_timeout"] = "0"
        return {**SETTINGS, **limits}

    def _frame(self, query: Query, planned: Statement, rows: list[Message]) -> pd.DataFrame:
        # Only a database without an encoding can send what is no UTF-8.
        string = pa.binary() if self._ascii else pa.string()
        types = [string if pa.types.is_string(c.arrow) else c.arrow for c in planned.columns]
        types += [pa.string()] * planned.has_bad + [pa.bool_()] * planned.has_empty
        arrays = parse(rows, types)
        columns = {}
        for wanted, how, array in zip(query.columns, planned.columns, arrays, strict=False):
            values = from_hex(array) if how.hex else array
            decode = how.as_text or (self._ascii and not how.hex)
            is_raw = decode and pa.types.is_binary(values.type)
            columns[wanted.name] = text(values) if is_raw else Delivered(values)
        told = arrays[len(columns)] if planned.has_bad else None
        return frame(columns, {EMPTY: arrays[-1]} if planned.has_empty else {}, told)

    def _select(self, query: Query) -> str:
        planned = self._statement(query)
        return planned.sql + where(query, planned.filterable, is_utf8=self._is_utf8)

    def _statement(self, query: Query) -> Statement:
        asked = shape(query)
        planned = self._statements.get(asked)
        if planned is None:
            connection = self._open_connection()
            with self._edge(query), connection.transaction():
                planned = self._plan(connection, query)
                if connection.execute(REWRITTEN).fetchone() == (True,):
                    text = "a table was truncated or rewritten after the snapshot was opened"
                    raise SourceConflict(self._name, text, query.dataset)
                planned = self._statements[asked] = self._probed(connection, query, planned)
        return planned

    def _probed(
        self, connection: psycopg.Connection[Any], query: Query, planned: Statement
    ) -> Statement:
        """The statement, knowing how the texts that are filtered fold under their collation."""
        columns = dict(planned.filterable)
        for key in query.keys:
            column = columns[key.column]
            if column.is_text:
                probe = folding_probe(column, planned.relation).encode()
                try:
                    with connection.transaction():
                        folds = connection.execute(probe).fetchone() == (True,)
                except psycopg.errors.FeatureNotSupported:
                    folds = False  # a collation that regular expressions can't use
                columns[key.column] = replace(column, folds=folds)
        return replace(planned, filterable=columns)

    def _plan(self, connection: psycopg.Connection[Any], query: Query) -> Statement:
        relation = relation_sql(query, self._source.db_schema, self._quote)
        available = self._columns(connection, query, relation)
        places = find_places(self._name, query, available)
        quote = self._quote.quote_identifier
        selected = ", ".join(f"t.{quote(column)}" for column in places.source_columns)
        # No row is read, but the grants are checked.
        result = connection.execute(f"SELECT {selected} FROM {relation} LIMIT 0".encode()).pgresult
        assert result is not None
        found = [(result.ftype(i), result.fmod(i)) for i in range(result.nfields)]
        oids = [oid for oid, _ in found]
        rows = {row[0]: row for row in connection.execute(TYPES_SQL, (oids,))}
        types: dict[str, PgType] = {
            column: resolve(rows, oid, modifier)
            for column, (oid, modifier) in zip(places.source_columns, found, strict=True)
        }
        return statement(self._name, query, relation, places, types, quote)

    def _columns(
        self, connection: psycopg.Connection[Any], query: Query, relation: str
    ) -> list[str]:
        if query.text:
            probe = connection.execute(f"SELECT * FROM {relation} LIMIT 0".encode())
            return [column.name for column in probe.description or ()]
        table = table_sql(query, self._source.db_schema, self._quote)
        row = connection.execute("SELECT to_regclass(%s)::oid", (table,)).fetchone()
        if row is None or row[0] is None:
            problem = unknown_table(query, self._source.db_schema)
            raise SourceDrift(self._name, problem, query.dataset)
        columns = [name for (name,) in connection.execute(COLUMNS, (row[0],))]
        if not columns:
            text = "a table was made anew after the snapshot was opened"
            raise SourceConflict(self._name, text, query.dataset)
        return columns

    def _open_connection(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise SourceUnavailable(self._name, "the connector is not open")
        return self._connection

    @contextmanager
    def _edge(self, query: Query | None) -> Iterator[None]:
        """Lets no error of the driver through, and none of Arrow's, which quote values."""
        try:
            yield
        except psycopg.Error as error:
            raise statement_error(self._name, self._source, query, error) from None
        except pa.ArrowInvalid:
            dataset = query.dataset if query else None
            raise SourceError(self._name, "what the server sent is no CSV", dataset) from None


def _behind_s(connection: psycopg.Connection[Any]) -> float | None:
    """Seconds that a standby is behind: 0 for a primary, None where that is unknown."""
    try:
        with connection.transaction():
            row = connection.execute(BEHIND).fetchone()
    except psycopg.errors.FeatureNotSupported:
        return 0.0  # databases that replicate otherwise, as Aurora's readers
    return None if row is None else row[0]
