"""Writes lending into MariaDB, or into a SQLite file where there is none: rows in bulk."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pymysql
import sqlalchemy as sa

from devstack.bank.core_rows import Frames
from devstack.bank.schema import LENDING, Table, create_sql, index_sql


class MariaDBWriter:
    """Lending's database in MariaDB: LOAD DATA, several times as fast as INSERT."""

    tables = tuple(LENDING)

    def __init__(self, admin: str, url: str) -> None:
        self._admin, self._url = sa.engine.make_url(admin), sa.engine.make_url(url)
        self._connection: pymysql.Connection[Any] | None = None

    def create(self) -> None:
        name = self._url.database or ""
        with _connected(self._admin) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        self._run(create_sql(table_name, table) for table_name, table in LENDING.items())
        self.commit()

    def write(self, frames: Frames) -> int:
        written = 0
        for name, table in LENDING.items():
            if name in frames and frames[name].height:
                self._load(name, _ready(frames[name], table))
                written += frames[name].height
        return written

    def index(self) -> None:
        for name, table in LENDING.items():
            self._run(index_sql(name, table))

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        same = " AND ".join(f"{column} = %s" for column in keys.columns)
        with self._open().cursor() as cursor:
            cursor.executemany(f"DELETE FROM {table} WHERE {same}", keys.rows())

    def commit(self) -> None:
        self._open().commit()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _load(self, name: str, rows: pl.DataFrame) -> None:
        places = [f"@{c}" if rows.schema[c] == pl.Binary else c for c in rows.columns]
        bytes_of = [f"{c} = UNHEX(@{c})" for c in rows.columns if rows.schema[c] == pl.Binary]
        with tempfile.TemporaryDirectory(prefix="bank-") as folder:
            file = Path(folder) / "rows.csv"
            rows.with_columns(pl.col(pl.Binary).bin.encode("hex")).write_csv(
                file, include_header=False, null_value="NULL", quote_style="non_numeric"
            )
            self._run(
                [
                    f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {name} CHARACTER SET utf8mb4 "
                    "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
                    f"({', '.join(places)})" + (f" SET {', '.join(bytes_of)}" if bytes_of else "")
                ]
            )

    def _run(self, statements: Iterable[str]) -> None:
        with self._open().cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _open(self) -> pymysql.Connection[Any]:
        if self._connection is None:
            self._connection = _connected(self._url)
            # Dates that never were are in real tables, from the time before strict modes.
            self._run(["SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"])
        return self._connection


class SQLiteWriter:
    """Lending's database as a SQLite file."""

    tables = tuple(LENDING)

    def __init__(self, url: str) -> None:
        self._file = Path(sa.engine.make_url(url).database or "")
        self._connection: sqlite3.Connection | None = None

    def create(self) -> None:
        self._file.unlink(missing_ok=True)
        for name, table in LENDING.items():
            self._open().execute(create_sql(name, table))
        self.commit()

    def write(self, frames: Frames) -> int:
        written = 0
        for name, table in LENDING.items():
            if name in frames and frames[name].height:
                marks = ", ".join(["?"] * len(table.columns))
                columns = ", ".join(table.columns)
                insert = f"INSERT INTO {name} ({columns}) VALUES ({marks})"
                self._open().executemany(insert, _ready(frames[name], table).iter_rows())
                written += frames[name].height
        return written

    def index(self) -> None:
        for name, table in LENDING.items():
            for statement in index_sql(name, table):
                self._open().execute(statement)
        self.commit()

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        same = " AND ".join(f"{column} = ?" for column in keys.columns)
        self._open().executemany(f"DELETE FROM {table} WHERE {same}", keys.iter_rows())

    def commit(self) -> None:
        self._open().commit()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # It is made by one thread and closed by another, never used by two.
            self._connection = sqlite3.connect(self._file, check_same_thread=False)
        return self._connection


def _connected(url: sa.engine.URL) -> pymysql.Connection[Any]:
    dialect = url.set(drivername="mysql+pymysql").get_dialect()()
    positional, named = dialect.create_connect_args(url)
    more = {"charset": "utf8mb4", "local_infile": True}
    return pymysql.connect(*positional, **{**named, **more})


def _ready(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The table's columns, times as texts."""
    columns: Sequence[str] = list(table.columns)
    return frame.select(columns).with_columns(
        pl.col(pl.Datetime).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
    )
