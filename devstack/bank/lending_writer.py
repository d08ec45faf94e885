"""Writes lending into MariaDB, or into a SQLite file where there is none: rows in bulk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pymysql
import sqlalchemy as sa

from devstack.bank.core_rows import Frames
from devstack.bank.schema import LENDING, Table, create_sql, index_sql

ROWS_AT_ONCE = 5_000
"""Rows in one INSERT: below the 16 MB that MariaDB takes by default."""


class LendingWriter:
    """Lending's database; of a file ``admin`` is None."""

    tables = tuple(LENDING)

    def __init__(self, admin: str | None, url: str) -> None:
        self._admin = None if admin is None else sa.engine.make_url(admin)
        self._url = sa.engine.make_url(url)
        self._mark = "?" if admin is None else "%s"
        self._connection: Any = None

    def create(self) -> None:
        name = self._url.database or ""
        if self._admin is None:
            Path(name).unlink(missing_ok=True)
        else:
            with _mariadb(self._admin) as admin, admin.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
                cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        for table_name, table in LENDING.items():
            self._run(create_sql(table_name, table))
        self.commit()

    def write(self, frames: Frames) -> int:
        written = 0
        for name, table in LENDING.items():
            if name in frames and frames[name].height:
                marks = ", ".join([self._mark] * len(table.columns))
                columns = ", ".join(table.columns)
                insert = f"INSERT INTO {name} ({columns}) VALUES ({marks})"
                for rows in _rows(frames[name], table):
                    self._run_many(insert, rows)
                written += frames[name].height
        return written

    def index(self) -> None:
        for name, table in LENDING.items():
            for statement in index_sql(name, table):
                self._run(statement)
        self.commit()

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        same = " AND ".join(f"{column} = {self._mark}" for column in keys.columns)
        self._run_many(f"DELETE FROM {table} WHERE {same}", keys.rows())

    def commit(self) -> None:
        self._open().commit()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _run(self, statement: str) -> None:
        cursor = self._open().cursor()
        cursor.execute(statement)
        cursor.close()

    def _run_many(self, statement: str, rows: list[Any]) -> None:
        cursor = self._open().cursor()
        cursor.executemany(statement, rows)
        cursor.close()

    def _open(self) -> Any:
        if self._connection is None:
            if self._admin is None:
                self._connection = sqlite3.connect(
                    self._url.database or "", check_same_thread=False
                )
            else:
                self._connection = _mariadb(self._url)
                # Dates that never were are in real tables, from the time before strict modes.
                self._run("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
                self._run("SET SESSION unique_checks = 0, foreign_key_checks = 0")
        return self._connection


def _mariadb(url: sa.engine.URL) -> pymysql.Connection[Any]:
    dialect = url.set(drivername="mysql+pymysql").get_dialect()()
    positional, named = dialect.create_connect_args(url)
    return pymysql.connect(*positional, **{**named, "charset": "utf8mb4"})


def _rows(frame: pl.DataFrame, table: Table) -> Iterator[list[Any]]:
    ready = frame.select(
        pl.col(column).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
        if frame.schema[column] == pl.Datetime
        else pl.col(column)
        for column in table.columns
    )
    for part in ready.iter_slices(ROWS_AT_ONCE):
        yield part.rows()
