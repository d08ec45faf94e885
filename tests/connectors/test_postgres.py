"""PostgreSQL through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from core.errors import SourceDrift, SourceError, SourceUnavailable
from core.records import BAD_COLUMN, EMPTY, Query, QueryColumn
from tests.connectors.suite import CANARY, ServerSuite, SqlSuite, query, rows_of
from tests.connectors.suite import Bank as BaseBank

COLUMNS = "id bigint, text text, number float8, amount numeric(30,2), doc jsonb"


class Bank(BaseBank):
    def __init__(self, url: str) -> None:
        self.name = f"bank_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {self.name}")
        self._base = url.rpartition("/")[0]
        self.admin = psycopg.connect(self.url, autocommit=True)

    @property
    def url(self) -> str:
        return f"{self._base}/{self.name}"

    def run(self, sql: str) -> None:
        self.admin.execute(sql)

    def make(self, table: str, rows: list[dict[str, Any]]) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} ({COLUMNS})")
        for row in rows:
            given = {
                k: json.dumps(v) if k == "doc" and v is not None else v for k, v in row.items()
            }
            values = ", ".join(["%s"] * len(given))
            sql = f"INSERT INTO {table} ({', '.join(given)}) VALUES ({values})"
            self.admin.execute(sql, list(given.values()))

    def move(self, identity: int, old: str, new: str) -> None:
        self.run(
            f"WITH gone AS (DELETE FROM {old} WHERE id = {identity} RETURNING *) "
            f"INSERT INTO {new} SELECT * FROM gone"
        )

    def fill(self, table: str, rows: int, width: int) -> None:
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(
            f"CREATE TABLE {table} AS SELECT i AS id, repeat('x', {width}) AS text "
            f"FROM generate_series(1, {rows}) AS i"
        )

    def kill_readers(self) -> None:
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'profile-prefetch' AND datname = current_database()"
        )

    def user_without_grant(self, table: str, password: str) -> str:
        user = f"u_{self.name}"
        self.run(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        return self.url.replace("postgres@", f"{user}:{password}@")


@pytest.fixture
def bank(postgres_url: str) -> Iterator[Bank]:
    made = Bank(postgres_url)
    yield made
    made.admin.close()


def read_types(bank: Bank, selects: str, **paths: str) -> list[dict[str, Any]]:
    bank.run(f"CREATE TABLE v AS {selects}")
    with bank.opened() as opened:
        return rows_of(opened, query("v", **(paths or {"v": "v"})))


class TestPostgres(SqlSuite, ServerSuite):
    # Started with trust: it takes any password.
    test_a_wrong_password_is_denied = None  # type: ignore[assignment]

    def test_an_unknown_user_is_denied(self, bank: Bank) -> None:
        from core.errors import SourceDenied

        url = bank.url.replace("postgres@", f"nobody_here:{CANARY}@")
        with pytest.raises(SourceDenied) as caught, bank.opened(url=url):
            pass
        assert CANARY not in repr(caught.value)

    @pytest.mark.parametrize(
        ("sql", "expected", "kind"),
        [
            ("'infinity'::timestamptz", "infinity", "timestamp"),
            ("'-infinity'::date", "-infinity", "date"),
            ("'0044-03-15 BC'::date", "0044-03-15 BC", "date"),
            ("'10000-01-01'::date", "10000-01-01", "date"),
            (
                "'2024-01-31 12:00:00.123456+02'::timestamptz",
                "2024-01-31 10:00:00.123456+00",
                "timestamp",
            ),
            ("'2024-01-31 12:00:00'::timestamp", "2024-01-31 12:00:00", "timestamp"),
            ("'24:00:00'::time", "24:00:00", "time"),
            ("'12:00:00+02'::timetz", "12:00:00+02", "time"),
            ("'1 year 2 days'::interval", "P1Y2D", "string"),
            ("'NaN'::numeric", "NaN", "decimal"),
            ("1.10::numeric", "1.10", "decimal"),
            ("0.1::float4", 0.1, "number"),
            ("'-Infinity'::float8", float("-inf"), "number"),
            ("true", True, "boolean"),
            ("'\\x00ff22'::bytea", b"\x00\xff\x22", "binary"),
            ("''::bytea", b"", "binary"),
            ("'10.0.0.1'::inet", "10.0.0.1", "string"),
            ("'[1,5)'::int4range", "[1,5)", "string"),
            (
                "'6b04f0fd-6b52-00ea-d89b-93150000abcd'::uuid",
                "6b04f0fd-6b52-00ea-d89b-93150000abcd",
                "uuid",
            ),
            ("'{\"a\": 1.10}'::json", '{"a": 1.10}', "json"),
            ("'{\"a\": 1.10}'::jsonb", '{"a": 1.10}', "json"),
            ("ARRAY[1.10, 'NaN']::numeric[]", '["1.10","NaN"]', "array"),
            ("ARRAY[[1,2],[3,4]]", "[[1,2],[3,4]]", "array"),
            ("ARRAY['a,\"b', NULL, '']", '["a,\\"b",null,""]', "array"),
            ("ARRAY[0.1]::float4[]", "[0.1]", "array"),
            ("'{}'::int[]", "[]", "array"),
        ],
    )
    def test_types(self, bank: Bank, sql: str, expected: Any, kind: str) -> None:
        bank.run(f"CREATE TABLE v AS SELECT {sql} AS v UNION ALL SELECT NULL")
        with bank.opened() as opened:
            assert opened.describe(query("v", v="v"))["v"].kind == kind
            found = [row["v"] for row in rows_of(opened, query("v", v="v"))]
        assert sorted(found, key=str) == sorted([expected, None], key=str)

    def test_domains_enums_composites_and_scales(self, bank: Bank) -> None:
        bank.run("CREATE DOMAIN money2 AS numeric(12,2)")
        bank.run("CREATE TYPE mood AS ENUM ('ok', 'not,\"ok')")
        bank.run("CREATE TYPE pair AS (a int, b text)")
        bank.run("CREATE TABLE v (d money2, e mood, p pair, n numeric, z timestamptz)")
        bank.run("""INSERT INTO v VALUES (5, 'not,"ok', ROW(1, 'x'), 1.5, now())""")
        wanted = query("v", d="d", e="e", p="p", n="n", z="z")
        with bank.opened() as opened:
            types = opened.describe(wanted)
            (row,) = rows_of(opened, wanted)
        assert (types["d"].kind, types["d"].precision, types["d"].scale) == ("decimal", 12, 2)
        assert (types["n"].precision, types["n"].scale) == (None, None)
        assert types["z"].zoned
        assert (row["d"], row["e"], row["p"]) == ("5.00", 'not,"ok', '{"a":1,"b":"x"}')

    def test_sql_arrays_unnest_with_their_type(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (id int, tags int[])")
        bank.run("INSERT INTO v VALUES (1, '{5,6}'), (2, '{}'), (3, NULL), (4, '{{1,2},{3,4}}')")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", "id", unnest="tags", tag="tags"))
        found = {(r["id"], r["tag"], r[EMPTY], r[BAD_COLUMN]) for r in rows}
        assert found == {
            (1, 5, False, None),
            (1, 6, False, None),
            (2, None, True, None),
            (3, None, True, None),
            (4, None, False, "tag"),
        }

    def test_bytes_declared_text_are_decoded_or_bad(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v AS SELECT v FROM (VALUES ('\\xc3bc'::bytea), ('\\xfc')) AS x(v)")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", v="v:string"))
        assert {(row["v"], row[BAD_COLUMN]) for row in rows} == {("\u00fc", None), (None, "v")}

    def test_a_nul_in_json_spoils_its_row_only(self, bank: Bank) -> None:
        bank.run("CREATE TABLE v (id int, j json)")
        bank.run("""INSERT INTO v VALUES (1, '{"a": "x\\u0000"}'), (2, '{"a": "y"}')""")
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", "id", a="j.a:string"))
        assert {(r["id"], r["a"], r[BAD_COLUMN]) for r in rows} == {(1, None, "a"), (2, "y", None)}

    def test_a_path_into_what_is_no_json_is_drift(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened, pytest.raises(SourceDrift, match=r"text\.x .* no JSON"):
            opened.describe(query("t", x="text.x:string"))

    def test_the_session_can_not_write(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            opened._connection.execute("INSERT INTO t (id) VALUES (1)")  # type: ignore[attr-defined]

    def test_a_slow_statement_is_unavailable(self, bank: Bank) -> None:
        wanted = Query(
            "bank.q", "q", (QueryColumn("n", "n", None),), text="SELECT 1 AS n FROM pg_sleep(9)"
        )
        slow = bank.opened(statement_timeout_s=0.3)
        with slow as opened, pytest.raises(SourceUnavailable, match="57014"):
            rows_of(opened, wanted)

    def test_a_lock_is_not_waited_for_longer_than_asked(self, bank: Bank) -> None:
        bank.make("t", [])
        with psycopg.connect(bank.url) as other, bank.opened(lock_timeout_s=0.3) as opened:
            other.execute("LOCK TABLE t")
            with pytest.raises(SourceUnavailable, match="55P03"):
                opened.describe(query("t", "id"))

    def test_an_error_quotes_no_value(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "text": CANARY}])
        wanted = Query(
            "bank.q", "q", (QueryColumn("n", "n", None),), text="SELECT text::int AS n FROM t"
        )
        with bank.opened() as opened, pytest.raises(SourceError, match="22P02") as caught:
            rows_of(opened, wanted)
        assert CANARY not in f"{caught.value}{caught.value!r}"
