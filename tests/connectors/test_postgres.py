"""PostgreSQL through the conformance suite, and what only it has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from connectors.postgres_errors import connect_error
from core.errors import (
    SourceConflict,
    SourceDenied,
    SourceDrift,
    SourceError,
    SourceUnavailable,
)
from core.records import BAD_COLUMN, EMPTY, ChangeFilter, KeyFilter, Query, QueryColumn
from tests.connectors.filter_suite import (
    SqlFilterSuite,
    asked,
    assert_complete,
    changed_ids,
    ids_of,
    instants,
)
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


class TestPostgres(SqlSuite, SqlFilterSuite, ServerSuite):
    # Started with trust: it takes any password.
    test_a_wrong_password_is_denied = None  # type: ignore[assignment]

    def test_an_unknown_user_is_denied(self, bank: Bank) -> None:
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
        bank.run("CREATE TABLE v (d money2, e mood, p pair, n numeric, z timestamptz, l timestamp)")
        bank.run("""INSERT INTO v VALUES (5, 'not,"ok', ROW(1, 'x'), 1.5, now())""")
        wanted = query("v", d="d", e="e", p="p", n="n", z="z", l="l")
        with bank.opened() as opened:
            types = opened.describe(wanted)
            (row,) = rows_of(opened, wanted)
        assert (types["d"].kind, types["d"].precision, types["d"].scale) == ("decimal", 12, 2)
        assert (types["n"].precision, types["n"].scale) == (None, None)
        assert (types["z"].zoned, types["l"].zoned) == (True, False)
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

    @pytest.mark.parametrize(
        "change",
        [
            "TRUNCATE t",
            "ALTER TABLE t ALTER id TYPE text",
            "ALTER TABLE t RENAME TO old; CREATE TABLE t AS SELECT * FROM old",
            "TRUNCATE parted_1",
        ],
    )
    def test_a_table_that_would_look_empty_is_a_conflict(self, bank: Bank, change: str) -> None:
        bank.make("t", [{"id": 1}])
        bank.run("CREATE TABLE parted (id bigint) PARTITION BY RANGE (id)")
        bank.run("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9)")
        bank.run("INSERT INTO parted VALUES (1)")
        bank.run("CREATE VIEW seen AS SELECT * FROM parted")
        with bank.opened() as opened:
            bank.run(change)
            for name in ("parted", "seen") if "parted" in change else ("t",):
                with pytest.raises(SourceConflict, match="after the snapshot was opened"):
                    rows_of(opened, query(name, "id"))

    def test_other_changes_are_no_conflict(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1}])
        bank.make("u", [{"id": 1}])
        with bank.opened() as opened:
            bank.run("CREATE INDEX ON t (id)")
            bank.run("ALTER TABLE t ADD more text DEFAULT 'x'")
            bank.run("INSERT INTO t (id) VALUES (2)")
            bank.run("TRUNCATE u")
            assert [row["id"] for row in rows_of(opened, query("t", "id"))] == [1]

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ('FATAL:  too many connections for role "reader"', SourceUnavailable),
            ('FATAL:  too many connections for database "bank"', SourceUnavailable),
            ("FATAL:  sorry, too many clients already", SourceUnavailable),
            ("FATAL:  remaining connection slots are reserved for roles with …", SourceUnavailable),
            ('FATAL:  role "reader" does not exist', SourceDenied),
            ('FATAL:  database "bank" does not exist', SourceDenied),
        ],
    )
    def test_why_there_is_no_connection(self, text: str, kind: type[SourceError]) -> None:
        assert type(connect_error("bank", "there:1", psycopg.OperationalError(text))) is kind

    def test_an_error_quotes_no_value(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "text": CANARY}])
        wanted = Query(
            "bank.q", "q", (QueryColumn("n", "n", None),), text="SELECT text::int AS n FROM t"
        )
        with bank.opened() as opened, pytest.raises(SourceError, match="22P02") as caught:
            rows_of(opened, wanted)
        assert CANARY not in f"{caught.value}{caught.value!r}"


UUIDS = [f"3fa85f64-5717-4562-b3fc-{n:012x}" for n in range(3)]

FILTERED = [
    ("int", ["5", "-6", "NULL"], "integer", [(5,), (2**31, 5), (-6, 5)]),
    ("smallint", ["5", "-6"], "string", [("5",), ("40000", "-6")]),
    ("numeric", ["5", "5.50", "'NaN'"], "string", [("5",), ("5.50", "x"), ("NaN",), ("nan", "5")]),
    ("numeric(12,2)", ["5", "6"], "integer", [(5,), (6, 10**30)]),
    ("float8", ["5", "0.5", "1e300"], "integer", [(5,), (5, 2**60)]),
    ("float8", ["5", "0.5"], "string", [("0.5",), ("5.0",)]),
    ("float4", ["123456789", "0.1"], "integer", [(123456790,)]),
    ("boolean", ["true", "false"], "string", [("true",)]),
    ("uuid", [f"'{each}'" for each in UUIDS], "uuid", [(UUIDS[1],), (UUIDS[2], "no uuid")]),
    ("uuid", [f"'{each}'" for each in UUIDS], "string", [(UUIDS[1].upper(), UUIDS[1])]),
    ("char(5)", ["'Ab'", "' Ab'", "'ab'"], "string", [("Ab   ",), ("Ab",), ("ab",)]),
    ("varchar(5)", ["'Ab'", "' Ab'", "'ab'"], "string", [("Ab",), ("ab",)]),
    ("name", ["'Ab'", "'ab'"], "string", [("ab",), ("a" * 70, "Ab")]),
    ("citext", ["'Ab'", "' AB'", "'\u00c9'", "'E\u0301'"], "string", [("Ab",), ("ab",), ("\u00e9",)]),
    ("mood", ["'ok'", "'No'"], "string", [("ok",), ("No", "none of them")]),
    ("label", ["'a'", "'B'"], "string", [("a",), ("b",), ("'",)]),
    ("bytea", ["'abc'"], "string", [("abc",)]),
    ("date", ["'2024-01-31'"], "string", [("2024-01-31",)]),
    ("inet", ["'10.0.0.1'"], "string", [("10.0.0.1",)]),
    ("int[]", ["'{5,6}'", "'{}'", "'{6,NULL}'", "'{{5},{6}}'"], "integer[]", [(5,), (6, 2**40)]),
    ("int[]", ["'{5,6}'", "'{6}'"], "string[]", [("5",), ("x", "6")]),
    ("text[]", ["""'{a,"B\\",{c"}'""", "'{A}'", "'{\" a\"}'"], "string[]", [("a",), ('B",{c',)]),
    ("varchar(9)[]", ["'{a}'", "'{A}'"], "string[]", [("a",)]),
    ("label[]", ["'{a}'", "'{A}'"], "string[]", [("a",), ("'",)]),
    ("labels", ["'{a}'", "'{A}'"], "string[]", [("a",)]),
    ("text[]", ["'{5}'", "'{05}'"], "integer[]", [(5,)]),
    ("uuid[]", [f"'{{{each}}}'" for each in UUIDS], "uuid[]", [(UUIDS[1],), (UUIDS[2], "no uuid")]),
    ("uuid[]", [f"'{{{each}}}'" for each in UUIDS], "string[]", [(UUIDS[1],)]),
    ("text", ["'[\"a\"]'", "'a'"], "string[]", [("a",)]),
    ("jsonb", ["'[\"a\", 5]'", "'[5]'"], "string[]", [("a",), ("5",)]),
    ("text", ["'20240131'"], "date", [("2024-01-31",)]),
]  # fmt: skip


class TestPostgresFilters:
    @pytest.mark.parametrize(("sql_type", "values", "kind", "keys"), FILTERED)
    def test_types(
        self, bank: Bank, sql_type: str, values: list[str], kind: str, keys: Any
    ) -> None:
        make_citext(bank)
        bank.run("CREATE TYPE mood AS ENUM ('ok', 'No')")
        bank.run("CREATE DOMAIN label AS text CHECK (VALUE <> '''')")
        bank.run("CREATE DOMAIN labels AS text[]")
        bank.run(f"CREATE TABLE t (id int, v {sql_type})")
        for i, value in enumerate(values):
            bank.run(f"INSERT INTO t VALUES ({i}, {value})")
        with bank.opened() as opened:
            for wanted in (query("t", "id", v=f"v:{kind}"), query("t", "id", v="v")):
                rows = rows_of(opened, wanted)
                for each in keys:
                    for loose in (False, True):
                        folds = tuple(v.lower() if loose and type(v) is str else v for v in each)
                        assert_complete(opened, wanted, KeyFilter("v", folds, loose), rows=rows)

    def test_collations(self, bank: Bank) -> None:
        names = ["C", "POSIX", "pg_unicode_fast", "tr-x-icu", "lt-x-icu", "tr_TR.utf8", "ci"]
        with suppress(psycopg.errors.FeatureNotSupported):
            bank.run(
                "CREATE COLLATION ci "
                "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
        known = {name for (name,) in bank.admin.execute("SELECT collname FROM pg_collation")}
        assert "C" in known
        for name in known.intersection(names):
            self.assert_folds(bank, name)

    def assert_folds(self, bank: Bank, collation: str) -> None:
        bank.run("DROP TABLE IF EXISTS t")
        bank.run(f'CREATE TABLE t (id int, v text COLLATE "{collation}")')
        held = ["ISTANBUL", "istanbul", "\u0131stanbul", "\u0130stanbul", " Istanbul", "J\u0301"]
        for i, text in enumerate(held):
            bank.admin.execute("INSERT INTO t VALUES (%s, %s)", (i, text))
        wanted = query("t", "id", v="v:string")
        with bank.opened() as opened:
            found = assert_complete(opened, wanted, KeyFilter("v", ("istanbul",), True), {0, 1, 4})
            assert_complete(opened, wanted, KeyFilter("v", ("istanbul",)), {1})
            as_query = replace(wanted, text="SELECT * FROM t")
            assert ids_of(opened, as_query, KeyFilter("v", ("istanbul",), True)) == found

    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
    def test_databases_that_are_not_unicode(self, bank: Bank, encoding: str) -> None:
        bank.run(
            f"CREATE DATABASE {bank.name}_old ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' "
            "TEMPLATE template0"
        )
        url = f"{bank.url}_old"
        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as admin:
            admin.execute("CREATE TABLE t (id int, v text)")
            admin.execute("INSERT INTO t VALUES (1, '\u00e9'), (2, 'E'), (3, '\u00c9'), (4, 'e')")
        wanted = query("t", "id", v="v:string")
        with bank.opened(url=url) as opened:
            key = KeyFilter("v", ("\u00e9", "\u0130", "\U0001f600"))
            assert_complete(opened, wanted, key, {1})
            assert_complete(opened, wanted, replace(key, loose=True), {1, 3})
            assert_complete(opened, wanted, KeyFilter("v", ("e",), True), {2, 4})
        bank.run(f"DROP DATABASE {bank.name}_old")

    @pytest.mark.parametrize(
        ("sql_type", "kind", "rows"),
        [
            ("timestamptz", "timestamp", 1),
            ("timestamp", "timestamp", 3),
            ("date", "timestamp", 3),
            ("timestamptz", "date", 5),
            ("text", "timestamp", 9),
        ],
    )
    def test_changes(self, bank: Bank, sql_type: str, kind: str, rows: int) -> None:
        held = [
            f"2024-02-0{day} 00:00:00{'+00' if 'tz' in sql_type else ''}" for day in range(1, 8)
        ]
        special = [None, "2024-02-04" if sql_type == "text" else "infinity"]
        bank.run(f"CREATE TABLE t (id int, at {sql_type})")
        for i, text in enumerate([*held, *special], 1):
            bank.admin.execute("INSERT INTO t VALUES (%s, %s)", (i, text))
        wanted = query("t", "id", at=f"at:{kind}")
        since, until = instants("2024-02-04T00:00:00", "2024-02-04T00:00:00.000001")
        with bank.opened() as opened:
            found = changed_ids(opened, wanted, "at", since, until)
            assert 4 in found
            assert len(found) == rows
            assert 4 not in changed_ids(opened, wanted, "at", until, until) or rows > 1
            ends = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
            assert set(range(1, 8)) <= changed_ids(opened, wanted, "at", *ends)
            zone = timezone(timedelta(hours=5))
            moved = (since.astimezone(zone), until.astimezone(zone))
            assert changed_ids(opened, wanted, "at", *moved) == found

    def test_indexes_serve(self, bank: Bank) -> None:
        make_citext(bank)
        bank.run(
            "CREATE TABLE t AS SELECT i AS id, i::text AS digits, 'User' || i || '@x' AS mail, "
            "('User' || i)::citext AS name, ('C' || i)::char(9) AS code, i::varchar AS short, "
            "md5(i::text)::uuid AS key, i::numeric AS amount, ARRAY[i, i + 1] AS tags, "
            "jsonb_build_object('a', 'v' || i) AS doc, '2024-01-01'::timestamptz + i * interval '1 h'"
            " AS at FROM generate_series(1, 20000) AS i"
        )
        for made in (
            "id", "digits", "lower(mail)", "name", "lower(code::text)", "short", "key", "amount",
            "at", "(doc #>> ARRAY['a']::text[])",
        ):  # fmt: skip
            bank.run(f"CREATE INDEX ON t ({made})")
        for odd in ("mail", "name::text", "code::text", "digits"):
            column = odd.partition(":")[0]
            bank.run(f"CREATE INDEX ON t ({column}) WHERE {odd} !~ '^[!-~]*$'")
        bank.run("CREATE INDEX ON t USING gin (tags)")
        bank.run("ANALYZE t")
        key = "d41d8cd9-8f00-b204-e980-0998ecf8427e"
        asks: list[tuple[str, KeyFilter]] = [
            ("id", KeyFilter("id", (5, 6))),
            ("id:string", KeyFilter("id", ("5",))),
            ("digits:string", KeyFilter("digits", ("5",))),
            ("digits:integer", KeyFilter("digits", (5,))),
            ("digits:integer", KeyFilter("digits", (5,), loose=True)),
            ("mail:string", KeyFilter("mail", ("user5@x", "user6@x"), loose=True)),
            ("name:string", KeyFilter("name", ("user5",), loose=True)),
            ("code:string", KeyFilter("code", ("c5",), loose=True)),
            ("short:string", KeyFilter("short", ("5",))),
            ("key:uuid", KeyFilter("key", (key,), loose=True)),
            ("amount:integer", KeyFilter("amount", (5,))),
            ("tags:integer[]", KeyFilter("tags", (5,))),
            ("doc.a:string", KeyFilter("doc.a", ("v5",))),
        ]
        with bank.opened() as opened:
            for path, ask in asks:
                wanted = asked(query("t", **{ask.column: path}), ask)
                assert "Seq Scan" not in plan_of(bank, opened, wanted), path
                assert "Seq Scan" not in plan_of(
                    bank, opened, replace(wanted, text="SELECT * FROM t")
                )
            unnested = query("t", "id", unnest="tags", tag="tags:integer")
            assert "Bitmap" in plan_of(bank, opened, asked(unnested, KeyFilter("tag", (5,))))
            span = ChangeFilter("at", *instants("2024-01-02", "2024-01-02T01:00:00"))
            assert "Seq Scan" not in plan_of(
                bank, opened, replace(query("t", at="at"), changed=span)
            )
            assert "Seq Scan" in plan_of(bank, opened, query("t", "id"))


def make_citext(bank: Bank) -> None:
    """The type ``citext``; written out here where the server comes without the extension."""
    known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'"
    if bank.admin.execute(known).fetchone() == (1,):
        bank.run("CREATE EXTENSION citext")
        return
    bank.run("CREATE TYPE citext")
    for function, taken, given in (
        ("in", "cstring", "citext"), ("out", "citext", "cstring"),
        ("recv", "internal", "citext"), ("send", "citext", "bytea"),
    ):  # fmt: skip
        bank.run(
            f"CREATE FUNCTION citext{function}({taken}) RETURNS {given} "
            f"AS 'text{function}' LANGUAGE internal STRICT IMMUTABLE"
        )
    bank.run(
        "CREATE TYPE citext (input = citextin, output = citextout, receive = citextrecv, "
        "send = citextsend, internallength = variable, storage = extended, category = 'S', "
        "collatable = true)"
    )
    bank.run("CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT")
    bank.run("CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT")
    for name, sign in (("lt", "<"), ("le", "<="), ("eq", "="), ("ge", ">="), ("gt", ">")):
        bank.run(
            f"CREATE FUNCTION citext_{name}(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE "
            f"AS 'SELECT lower($1::text) {sign} lower($2::text)'"
        )
        bank.run(
            f"CREATE OPERATOR {sign} (leftarg = citext, rightarg = citext, "
            f"procedure = citext_{name}, restrict = {'eqsel' if name == 'eq' else 'scalarltsel'})"
        )
    bank.run(
        "CREATE FUNCTION citext_cmp(citext, citext) RETURNS int LANGUAGE sql IMMUTABLE "
        "AS 'SELECT bttextcmp(lower($1::text), lower($2::text))'"
    )
    bank.run(
        "CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS OPERATOR 1 <, "
        "OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 citext_cmp"
        "(citext, citext)"
    )


def plan_of(bank: Bank, opened: Any, wanted: Query) -> str:
    """PostgreSQL's plan of the statement that the connector makes."""
    return "\n".join(row[0] for row in bank.admin.execute(f"EXPLAIN {opened._select(wanted)}"))
