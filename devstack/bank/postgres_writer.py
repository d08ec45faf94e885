"""Writes core and cards into PostgreSQL: COPY, from CSV that Polars prints by columns."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql

from devstack.bank.core_rows import Frames
from devstack.bank.schema import Table, create_sql, index_sql


class PostgresWriter:
    """A PostgreSQL database of the bank."""

    def __init__(self, admin: str, url: str, tables: Mapping[str, Table]) -> None:
        self._admin, self._url, self._tables = admin, url, tables
        self.tables = tuple(tables)
        self._connection: psycopg.Connection | None = None

    def create(self) -> None:
        name = sql.Identifier(sa.engine.make_url(self._url).database or "")
        with psycopg.connect(_libpq(self._admin), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        for table_name, table in self._tables.items():
            self._open().execute(create_sql(table_name, table).encode())
        self.commit()

    def write(self, frames: Frames) -> int:
        written = 0
        for name, table in self._tables.items():
            if name in frames and frames[name].height:
                self._copy(name, frames[name].select(list(table.columns)))
                written += frames[name].height
        return written

    def index(self) -> None:
        for name, table in self._tables.items():
            for statement in index_sql(name, table):
                self._open().execute(statement.encode())
        self.commit()
        with psycopg.connect(_libpq(self._url), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        connection = self._open()
        gone = f"gone_{table}"
        columns = ", ".join(keys.columns)
        connection.execute(
            f"CREATE TEMP TABLE {gone} ON COMMIT DROP AS "
            f"SELECT {columns} FROM {table} LIMIT 0".encode()
        )
        self._copy(gone, keys)
        connection.execute(f"ANALYZE {gone}".encode())
        same = " AND ".join(f"t.{column} = g.{column}" for column in keys.columns)
        connection.execute(f"DELETE FROM {table} t USING {gone} g WHERE {same}".encode())
        connection.execute(f"DROP TABLE {gone}".encode())

    def commit(self) -> None:
        self._open().commit()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _copy(self, name: str, rows: pl.DataFrame) -> None:
        columns = ", ".join(rows.columns)
        command = f"COPY {name} ({columns}) FROM STDIN (FORMAT csv)".encode()
        # Quoted, so that empty texts are no nulls.
        text = rows.write_csv(include_header=False, quote_style="non_numeric")
        with self._open().cursor() as cursor, cursor.copy(command) as copy:
            copy.write(text.encode())

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            # Times are written as they are in UTC.
            self._connection = psycopg.connect(_libpq(self._url), options="-c timezone=UTC")
        return self._connection


def _libpq(url: str) -> str:
    plain = sa.engine.make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)
