"""MariaDB through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pymysql
import pytest

from core.errors import SourceUnavailable
from core.records import BAD_COLUMN, ChangeFilter, KeyFilter, Query, QueryColumn
from tests.connectors.filter_suite import (
    TEXTS,
    UUID,
    SqlFilterSuite,
    asked,
    assert_complete,
    changed_ids,
    instants,
    plain_fold,
)
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
            with suppress(pymysql.err.OperationalError):  # it ended meanwhile
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


class TestMariaDB(SqlSuite, SqlFilterSuite, ServerSuite):
    # The collation of the tables takes no regard to case, nor to blanks at the end.
    most_extra = 12
    most_extra_integers = 1

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
        bank.run("CREATE TABLE v (v timestamp NULL, d datetime)")
        bank.run("INSERT INTO v (v) VALUES ('2024-01-31 12:00:00')")
        with bank.opened() as opened:
            told = opened.describe(query("v", v="v", d="d"))
            assert (told["v"].zoned, told["d"].zoned) == (True, False)
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

    def test_tables_without_transactions_have_no_snapshot(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1}])
        bank.run("CREATE TABLE old (id bigint) ENGINE = MyISAM")
        bank.run("CREATE VIEW seen AS SELECT * FROM t")
        with bank.opened() as opened:
            for name in ("t", "seen"):
                rows_of(opened, query(name, "id"))
                assert opened.consistency == "snapshot"
            bank.run("INSERT INTO old VALUES (1)")
            assert len(rows_of(opened, query("old", "id"))) == 1
            assert opened.consistency == "none"

    def test_a_slow_statement_is_unavailable(self, bank: Bank) -> None:
        wanted = Query(
            "bank.q", "q", (QueryColumn("n", "n", None),), text="SELECT sleep(9) + seq AS n "
            "FROM seq_1_to_2"
        )  # fmt: skip
        slow = bank.opened(statement_timeout_s=0.5)
        with slow as opened, pytest.raises(SourceUnavailable):
            rows_of(opened, wanted)


UUIDS = [f"3fa85f64-5717-4562-b3fc-{n:012x}" for n in range(3)]

FILTERED = [
    ("int", ["5", "-6", "NULL"], "integer", [(5,), (2**70, 5), (-6, 5)]),
    ("bigint unsigned", ["18446744073709551615", "5"], "string", [("18446744073709551615",), ("5",)]),
    ("tinyint(1)", ["1", "0"], "integer", [(1,), (0,)]),
    ("int(5) zerofill", ["5", "12"], "string", [("5",), ("00012", "12")]),
    ("year", ["2024", "0", "1970"], "integer", [(2024,), (0,), (70,)]),
    ("bit(4)", ["5", "6"], "integer", [(5,)]),
    ("decimal(20,2)", ["5", "5.5", "123456789012345678.10"], "string",
     [("5.00",), ("5.50",), ("123456789012345678.10",), ("0.00000000001", "5.00")]),
    ("decimal(20,2)", ["5", "6"], "integer", [(5,), (6, 10**30)]),
    ("double", ["5", "0.5", "1e300"], "integer", [(5,), (5, 2**60)]),
    ("double", ["5", "0.5"], "string", [("0.5",), ("5.0",)]),
    ("float", ["123456789", "0.1"], "integer", [(123456790,), (123456792,)]),
    ("float", ["123456789", "0.1"], "string", [("0.1",)]),
    ("uuid", [f"'{each}'" for each in UUIDS], "uuid", [(UUIDS[1],), (UUIDS[2], "no uuid")]),
    ("uuid", [f"'{each}'" for each in UUIDS], "string", [(UUIDS[1].upper(), UUIDS[1])]),
    ("char(36) character set ascii", [f"'{UUIDS[0]}'", f"'{UUIDS[1].upper()}'"], "uuid",
     [(UUIDS[0],), (UUIDS[1],), tuple(UUIDS)]),
    ("char(5)", ["'Ab'", "' Ab'", "'ab'"], "string", [("Ab",), ("ab",)]),
    ("enum('a','B')", ["'a'", "'b'"], "string", [("a",), ("B",), ("1",)]),
    ("set('a','b')", ["'a'", "'a,b'"], "string", [("a",), ("a,b",)]),
    ("varbinary(9)", ["'ab'", "' AB'", "x'c389'", "x'ff'"], "string", [("ab",), ("\u00e9",), ("\u00c9",)]),
    ("binary(4)", ["'ab'", "'abcd'"], "string", [("abcd",), ("ab",)]),
    ("blob", ["'ab'", "'AB '"], "string", [("ab",), ("AB ",)]),
    ("mediumtext", ["'ab'", "'AB '"], "string", [("ab",), ("AB",)]),
    ("json", ["'{\"a\": 5}'"], "string", [('{"a": 5}',)]),
    ("date", ["'2024-01-31'"], "string", [("2024-01-31",)]),
]  # fmt: skip

COLLATIONS = [
    "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_general_nopad_ci",
    "utf8mb4_uca1400_ai_ci", "utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb4_turkish_ci",
    "utf8mb4_danish_ci", "utf8mb3_general_ci", "ucs2_general_ci", "utf16_bin", "latin1_swedish_ci",
    "latin1_bin", "latin1_german2_ci", "latin2_general_ci", "ascii_general_ci", "cp1251_general_ci",
]  # fmt: skip


class TestMariaDBFilters:
    @pytest.mark.parametrize(("sql_type", "values", "kind", "keys"), FILTERED)
    def test_types(
        self, bank: Bank, sql_type: str, values: list[str], kind: str, keys: Any
    ) -> None:
        bank.run(f"CREATE TABLE t (id int, v {sql_type} NULL)")
        for i, value in enumerate(values):
            bank.run(f"INSERT INTO t VALUES ({i}, {value})")
        with bank.opened() as opened:
            for wanted in (query("t", "id", v=f"v:{kind}"), query("t", "id", v="v")):
                for asking in (wanted, replace(wanted, text="SELECT * FROM t")):
                    rows = rows_of(opened, asking)
                    for each in keys:
                        for loose in (False, True):
                            folds = tuple(
                                v.lower() if loose and type(v) is str else v for v in each
                            )
                            assert_complete(opened, asking, KeyFilter("v", folds, loose), rows=rows)

    @pytest.mark.parametrize("collation", COLLATIONS)
    def test_collations(self, bank: Bank, collation: str) -> None:
        charset = collation.partition("_")[0]
        bank.run(
            f"CREATE TABLE t (id int, v varchar(99) CHARACTER SET {charset} COLLATE {collation})"
        )
        held = [
            *TEXTS,
            *(
                "Nick_K%|",
                " nick_k%|\t",
                "nick_k%|\t",
                "nIC\u212a_k%|",
                "user\tx",
                "istanbul\u00a0",
            ),
        ]
        bank.run("SET sql_mode = 'STRICT_ALL_TABLES'")
        for i, text in enumerate(held):
            with suppress(pymysql.err.DataError):  # what the character set has not
                bank.run("INSERT INTO t VALUES (%s, %s)", [i, text])
        wanted = query("t", "id", v="v:string")
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            there = {int(row["id"]): row["v"] for row in rows}
            assert len(there) > 50
            for value in {plain_fold(text) for text in held}:
                rule = {i for i, text in there.items() if plain_fold(text) == value}
                assert_complete(opened, wanted, KeyFilter("v", (value,), True), rule, rows)
            for text in held:
                rule = {i for i, other in there.items() if other == text}
                assert_complete(opened, wanted, KeyFilter("v", (text,)), rule, rows)
            for kind, value in (("uuid", UUID), ("integer", 123)):
                typed = query("t", "id", v=f"v:{kind}")
                assert_complete(opened, typed, KeyFilter("v", (value,), True))
            assert_complete(opened, wanted, KeyFilter("v", tuple(held)), set(there), rows)

    @pytest.mark.parametrize(
        ("sql_type", "kind", "rows"),
        [
            ("timestamp(6)", "timestamp", 1),
            ("datetime", "timestamp", 3),
            ("date", "timestamp", 3),
            ("datetime(6)", "date", 5),
            ("text", "timestamp", 9),
        ],
    )
    def test_changes(self, bank: Bank, sql_type: str, kind: str, rows: int) -> None:
        bank.run("SET time_zone = '+00:00'")
        bank.run(f"CREATE TABLE t (id int, at {sql_type} NULL)")
        last = "2024-02-04" if sql_type == "text" else "0000-00-00"
        for i, text in enumerate([*(f"2024-02-0{day}" for day in range(1, 8)), None, last], 1):
            bank.run("INSERT INTO t VALUES (%s, %s)", [i, text])
        since, until = instants("2024-02-04T00:00:00", "2024-02-04T00:00:00.000001")
        wanted = query("t", "id", at=f"at:{kind}")
        with bank.opened() as opened:
            found = changed_ids(opened, wanted, "at", since, until)
            assert 4 in found
            assert len(found) == rows
            ends = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
            assert set(range(1, 8)) <= changed_ids(opened, wanted, "at", *ends)
            as_query = replace(wanted, text="SELECT * FROM t")
            assert changed_ids(opened, as_query, "at", since, until) == found

    def test_indexes_serve(self, bank: Bank) -> None:
        bank.run(
            "CREATE TABLE t (id int PRIMARY KEY, n bigint, amount decimal(20,4), s varchar(40), "
            "mail varchar(60), code char(36) CHARACTER SET ascii, raw varbinary(40), u uuid, "
            "at timestamp NULL, day date, KEY (n), KEY (amount), KEY (s), KEY (mail), KEY (code), "
            "KEY (raw), KEY (u), KEY (at), KEY (day))"
        )
        bank.run(
            "INSERT INTO t SELECT seq, seq, seq, seq, concat('User', seq, '@bank'), uuid(), seq, "
            "uuid(), from_unixtime(1700000000 + seq * 3600), from_unixtime(1700000000 + seq * 36000)"
            " FROM seq_1_to_5000"
        )
        bank.run("ANALYZE TABLE t")
        asks: list[tuple[str, KeyFilter]] = [
            ("id:integer", KeyFilter("id", (5, 6))),
            ("n:string", KeyFilter("n", ("5",))),
            ("amount:integer", KeyFilter("amount", (5, 6))),
            ("s:string", KeyFilter("s", ("5",))),
            ("s:integer", KeyFilter("s", (5,))),
            ("s:integer", KeyFilter("s", (4999, 5000), loose=True)),
            ("mail:string", KeyFilter("mail", ("user5@bank", "user6@bank"), loose=True)),
            ("code:uuid", KeyFilter("code", (UUIDS[0],), loose=True)),
            ("raw:string", KeyFilter("raw", ("5",))),
            ("u:uuid", KeyFilter("u", (UUIDS[0],), loose=True)),
        ]
        with bank.opened() as opened:
            for path, ask in asks:
                wanted = asked(query("t", **{ask.column: path}), ask)
                for each in (wanted, replace(wanted, text="SELECT * FROM t")):
                    assert plans_of(bank, opened, each) <= {"const", "ref", "range"}, path
            for column, kind in (("at", "timestamp"), ("day", "timestamp")):
                span = ChangeFilter(column, *instants("2023-12-01", "2023-12-01T01:00:00"))
                changed = replace(query("t", **{column: f"{column}:{kind}"}), changed=span)
                assert plans_of(bank, opened, changed) == {"range"}
            assert plans_of(bank, opened, query("t", "id", mail="mail")) & {"ALL", "index"}


def plans_of(bank: Bank, opened: Any, wanted: Query) -> set[str]:
    """How MariaDB goes through the table in the statements that the connector makes."""
    *statements, parameters = opened._statements(wanted)
    return {
        row[3]
        for statement in statements
        for row in bank.run(f"EXPLAIN {statement}", list(parameters))
        if row[2] == "t" or row[3]
    }
