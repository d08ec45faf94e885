"""MariaDB through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from core.errors import SourceUnavailable
from core.records import BAD_COLUMN, Query, QueryColumn
from tests.connectors.suite import Bank as BaseBank
from tests.connectors.suite import ServerSuite, SqlSuite, query, rows_of

COLUMNS = "id bigint, text text, number double, amount decimal(30,2), doc json"


class Bank(BaseBank):
    def __init__(self, url: str) -> None:
        self.name = f"bank_{uuid.uuid4().hex[:8]}"
        self._base = url.rstrip("/")
        port = int(self._base.rpartition(":")[2])
        self.admin = pymysql.connect(
            host="127.0.0.1", port=port, user="root", autocommit=True, charset="utf8mb4"
        )
        self.run(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4")
        self.run(f"USE {self.name}")
        self.run("SET sql_mode = ''")

    @property
    def url(self) -> str:
        return f"{self._base}/{self.name}"

    def run(self, sql: str, values: list[Any] | None = None) -> Any:
        with self.admin.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def make(self, table: str, rows: list[dict[str, Any]]) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} ({COLUMNS})")
        for row in rows:
            given = {
                k: json.dumps(v) if k == "doc" and v is not None else v for k, v in row.items()
            }
            values = ", ".join(["%s"] * len(given))
            sql = f"INSERT INTO {table} ({', '.join(given)}) VALUES ({values})"
            self.run(sql, list(given.values()))

    def move(self, identity: int, old: str, new: str) -> None:
        self.run("BEGIN")
        self.run(f"INSERT INTO {new} SELECT * FROM {old} WHERE id = {identity}")
        self.run(f"DELETE FROM {old} WHERE id = {identity}")
        self.run("COMMIT")

    def fill(self, table: str, rows: int, width: int) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(
            f"CREATE TABLE {table} AS SELECT seq AS id, repeat('x', {width}) AS text "
            f"FROM seq_1_to_{rows}"
        )

    def kill_readers(self) -> None:
        sql = (
            "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> connection_id()"
        )
        for (identity,) in self.run(sql, [self.name]):
            self.run(f"KILL {identity}")

    def user_without_grant(self, table: str, password: str) -> str:
        user = f"u_{self.name}"
        self.run(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{password}'")
        self.run("CREATE TABLE other (id int)")
        self.run(f"GRANT SELECT ON {self.name}.other TO {user}@'127.0.0.1'")
        return self.url.replace("root@", f"{user}:{password}@")


@pytest.fixture
def bank(mariadb_url: str) -> Iterator[Bank]:
    made = Bank(mariadb_url)
    yield made
    made.run(f"DROP DATABASE {made.name}")
    made.admin.close()


class TestMariaDB(SqlSuite, ServerSuite):
    @pytest.mark.parametrize(
        ("declared", "value", "expected", "kind"),
        [
            ("bigint unsigned", "18446744073709551615", "18446744073709551615", "integer"),
            ("tinyint(1)", "1", "1", "integer"),
            ("bit(1)", "b'1'", "1", "integer"),
            ("year", "2024", "2024", "integer"),
            ("float", "0.1", "0.1", "number"),
            ("float", "16777216", "16777216.0", "number"),
            ("decimal(20,2)", "123456789012345678.10", "123456789012345678.10", "decimal"),
            ("date", "'0000-00-00'", "0000-00-00", "date"),
            ("date", "'2024-01-31'", "2024-01-31", "date"),
            ("datetime(6)", "'2024-01-31 12:00:00.5'", "2024-01-31 12:00:00.500000", "timestamp"),
            ("datetime", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00", "timestamp"),
            ("time", "'-838:59:59'", "-838:59:59", "time"),
            ("blob", "x'00ff22'", "b'\\x00\\xff\"'", "binary"),
            ("varbinary(9)", "x'00'", "b'\\x00'", "binary"),
            ("enum('a','b')", "'b'", "b", "string"),
            ("varchar(9) character set latin1", "'\u00fc'", "\u00fc", "string"),
            ("text", "concat('a', char(0), 'b')", "a\x00b", "string"),
        ],
    )
    def test_types(self, bank: Bank, declared: str, value: str, expected: str, kind: str) -> None:
        bank.run(f"CREATE TABLE v (v {declared} NULL)")
        bank.run(f"INSERT INTO v VALUES ({value}), (NULL)")
        with bank.opened() as opened:
            found = opened.describe(query("v", v="v"))["v"]
            rows = [row["v"] for row in rows_of(opened, query("v", v="v"))]
        assert sorted(map(str, rows)) == sorted([expected, "None"])
        assert found.kind == kind

    def test_a_timestamp_is_in_utc_and_says_so(self, bank: Bank) -> None:
        bank.run("SET time_zone = '+02:00'")
        bank.run("CREATE TABLE v (v timestamp NULL)")
        bank.run("INSERT INTO v VALUES ('2024-01-31 12:00:00')")
        with bank.opened() as opened:
            assert opened.describe(query("v", v="v"))["v"].zoned
            assert rows_of(opened, query("v", v="v"))[0]["v"] == "2024-01-31 10:00:00+00:00"

    def test_bytes_declared_text_are_decoded_or_bad(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (v varbinary(9))")
        bank.run("INSERT INTO v VALUES (x'c3bc'), (x'fc')")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", v="v:string"))
        assert {(row["v"], row[BAD_COLUMN]) for row in rows} == {("\u00fc", None), (None, "v")}

    def test_the_session_can_not_write(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened, pytest.raises(Exception, match="READ ONLY"):
            opened._connection.exec_driver_sql("INSERT INTO t (id) VALUES (1)")  # type: ignore[attr-defined]

    def test_a_slow_statement_is_unavailable(self, bank: Bank) -> None:
        wanted = Query(
            "bank.q", "q", (QueryColumn("n", "n", None),), text="SELECT sleep(9) + seq AS n "
            "FROM seq_1_to_2"
        )  # fmt: skip
        slow = bank.opened(statement_timeout_s=0.5)
        with slow as opened, pytest.raises(SourceUnavailable):
            rows_of(opened, wanted)
