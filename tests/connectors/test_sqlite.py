"""SQLite through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import connector
from core.errors import ConfigError, SourceUnavailable
from core.records import BAD_COLUMN
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


class TestSqlite(SqlSuite):
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
