"""SQLite through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import connector
from core.errors import ConfigError, SourceUnavailable
from core.records import BAD_COLUMN, KeyFilter, Query
from core.values import parse_type
from tests.connectors.filter_suite import (
    SqlFilterSuite,
    asked,
    assert_complete,
    cast_values,
    changed_ids,
    instants,
)
from tests.connectors.suite import Bank as BaseBank
from tests.connectors.suite import SqlSuite, query, rows_of

# The amount is text: SQLite has no exact decimals.
COLUMNS = "id bigint, text text, number double, amount text, doc json"


class Bank(BaseBank):
    server = False

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bank.db"
        self.admin = sqlite3.connect(self.path, isolation_level=None)
        self.run("PRAGMA journal_mode = WAL")

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def run(self, sql: str, values: list[Any] | None = None) -> Any:
        return self.admin.execute(sql, values or []).fetchall()

    def make(self, table: str, rows: list[dict[str, Any]]) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} ({COLUMNS})")
        for row in rows:
            given = {
                k: json.dumps(v) if k == "doc" and v is not None else v for k, v in row.items()
            }
            values = ", ".join(["?"] * len(given))
            sql = f"INSERT INTO {table} ({', '.join(given)}) VALUES ({values})"
            self.run(sql, list(given.values()))

    def move(self, identity: int, old: str, new: str) -> None:
        self.run("BEGIN")
        self.run(f"INSERT INTO {new} SELECT * FROM {old} WHERE id = {identity}")
        self.run(f"DELETE FROM {old} WHERE id = {identity}")
        self.run("COMMIT")

    def fill(self, table: str, rows: int, width: int) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} (id bigint, text text)")
        self.run("BEGIN")
        text = "x" * width
        self.admin.executemany(
            f"INSERT INTO {table} VALUES (?, ?)", ((i, text) for i in range(rows))
        )
        self.run("COMMIT")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.admin.close()


class TestSqlite(SqlSuite, SqlFilterSuite):
    def test_values_of_another_storage_class_arrive_as_text(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (n int, v integer)")
        bank.run("INSERT INTO v VALUES (1, 5), (2, 'abc'), (3, 1.5), (4, NULL)")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", n="n", v="v"))
        assert {str(r["n"]): str(r["v"]) for r in rows} == {
            "1": "5",
            "2": "abc",
            "3": "1.5",
            "4": "None",
        }

    def test_text_that_is_no_utf8_spoils_its_row_only(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (v text)")
        bank.run("INSERT INTO v VALUES (CAST(x'fc' AS TEXT)), ('fine')")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", v="v"))
        assert {(r["v"], r[BAD_COLUMN]) for r in rows} == {(None, "v"), ("fine", None)}

    def test_blobs_are_binary(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (v blob)")
        bank.run("INSERT INTO v VALUES (x'00ff')")
        with bank.opened() as opened:
            assert rows_of(opened, query("v", v="v"))[0]["v"] == b"\x00\xff"

    def test_the_session_can_not_write(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened, pytest.raises(Exception, match=r"readonly|read-only"):
            opened._connection.exec_driver_sql("INSERT INTO t (id) VALUES (1)")  # type: ignore[attr-defined]

    def test_a_file_that_is_not_there_is_not_made(self, bank: Bank, tmp_path: Path) -> None:
        gone = tmp_path / "gone.db"
        with pytest.raises(SourceUnavailable), bank.opened(url=f"sqlite:///{gone}"):
            pass
        assert not gone.exists()

    def test_an_unknown_kind_is_refused(self, bank: Bank) -> None:
        with pytest.raises(ConfigError, match="mongodb, sql"):
            connector("bank", bank.source(kind="cobol"))


STORED = [
    *("5", "-5", "0", "5.5", "5.0", "1e20", "0.1", "9007199254740993", "9223372036854775807"),
    *("'5'", "' 5'", "'05'", "'5 '", "'-0'", "'5.50'", "'1e2'", "'99999999999999999999'", "1e300"),
    *("x'35'", "x'2035'", "x'616263'", "x'4142'", "x'c3a9'", "x'ff'", "x''", "''", "' '", "NULL"),
    *("'abc'", "'ABC'", "' Abc'", "'\u00e9'", "'E\u0301'", "'\u00c9'", "'inf'", "9e999", "-0.0"),
    *("123456789.123456789", "1.0e15", "100000000000000000000.0", "'0.1'", "0.30000000000000004"),
]


class TestSqliteFilters:
    @pytest.mark.parametrize(
        "declared", ["text", "integer", "numeric", "real", "blob", "", "text collate nocase"]
    )
    def test_storage_classes(self, bank: Bank, declared: str) -> None:
        bank.run(f"CREATE TABLE t (id integer, v {declared})")
        for i, each in enumerate(STORED):
            bank.run(f"INSERT INTO t VALUES ({i}, {each})")
        text = "SELECT id, v FROM t UNION ALL SELECT 99, 'z'"
        with bank.opened() as opened:
            for kind in ("string", "integer"):
                wanted = query("t", "id", v=f"v:{kind}")
                for each in (wanted, replace(wanted, text=text)):
                    rows = rows_of(opened, each)
                    for loose in (False, True):
                        probe = KeyFilter("v", (), loose)
                        values = set(cast_values(rows, parse_type(kind), probe)) - {None}
                        assert len(values) >= {"string": 15, "integer": 0}[kind]
                        for value in values:
                            key = KeyFilter("v", (value,), loose)
                            found = assert_complete(opened, each, key, rows=rows)
                            assert loose or len(found) < 8, value
                        key = KeyFilter("v", tuple(values), loose)
                        assert_complete(opened, each, key, rows=rows)

    def test_utf16_databases(self, bank: Bank, tmp_path: Path) -> None:
        path = tmp_path / "wide.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as wide:
            wide.execute("PRAGMA encoding = 'UTF-16le'")
            wide.execute("CREATE TABLE t (id integer, v text)")
            wide.execute("INSERT INTO t VALUES (1, 'AB'), (2, x'4142'), (3, x'206162'), (4, x'41')")
        wanted = query("t", "id", v="v:string")
        with bank.opened(url=f"sqlite:///{path}") as opened:
            assert_complete(opened, wanted, KeyFilter("v", ("AB",)), {1, 2})
            assert_complete(opened, wanted, KeyFilter("v", ("ab",), True), {1, 2, 3})
            assert_complete(opened, wanted, KeyFilter("v", ("a",), True), {4})

    def test_more_values_than_parameters(self, bank: Bank) -> None:
        bank.make("t", [{"id": i, "text": str(i)} for i in range(10)])
        values = tuple(map(str, range(5, 40_000)))
        with bank.opened() as opened:
            key = KeyFilter("text", values)
            assert_complete(opened, query("t", "id", "text"), key, {5, 6, 7, 8, 9})

    def test_changes_are_all_read(self, bank: Bank) -> None:
        bank.run("CREATE TABLE t (id integer, at timestamp)")
        bank.run("INSERT INTO t VALUES (1, '2024-02-04'), (2, 1707004800), (3, NULL)")
        since, until = instants("2024-02-04", "2024-02-05")
        with bank.opened() as opened:
            wanted = query("t", "id", at="at:timestamp")
            assert changed_ids(opened, wanted, "at", since, until) == {1, 2, 3}

    def test_indexes_serve(self, bank: Bank) -> None:
        bank.run("CREATE TABLE t (id integer primary key, n bigint, s text, mail text)")
        bank.admin.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)",
            ((i, i, str(i), f"User{i}@x") for i in range(5000)),
        )
        for made in ("n", "s", "lower(mail)"):
            bank.run(f"CREATE INDEX of_{made[:5].rstrip('(')} ON t ({made})")
        for column in ("s", "mail"):
            odd = f"CAST({column} AS TEXT) GLOB '*[^!-~]*'"
            bank.run(f"CREATE INDEX odd_{column} ON t ({column}) WHERE {odd}")
        bank.run("ANALYZE")
        asks: list[tuple[str, KeyFilter]] = [
            ("id:integer", KeyFilter("id", (5, 6))),
            ("n:integer", KeyFilter("n", (5,))),
            ("n:string", KeyFilter("n", ("5",))),
            ("s:string", KeyFilter("s", ("5",))),
            ("s:integer", KeyFilter("s", (5,))),
            ("s:integer", KeyFilter("s", (5,), loose=True)),
            ("mail:string", KeyFilter("mail", ("user5@x", "user6@x"), loose=True)),
        ]
        with bank.opened() as opened:
            for path, ask in asks:
                wanted = asked(query("t", **{ask.column: path}), ask)
                for each in (wanted, replace(wanted, text="SELECT * FROM t")):
                    plan = plan_of(bank, opened, each)
                    assert "SCAN" not in plan and "SEARCH" in plan, (path, plan)
            assert "SCAN" in plan_of(bank, opened, query("t", "id"))


def plan_of(bank: Bank, opened: Any, wanted: Query) -> str:
    """SQLite's plans of the statements that the connector makes."""
    *statements, parameters = opened._statements(wanted)
    plans = [bank.run(f"EXPLAIN QUERY PLAN {each}", parameters) for each in statements]
    return "\n".join(row[3] for plan in plans for row in plan)
