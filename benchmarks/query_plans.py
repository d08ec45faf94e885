"""The plans that the demo bank's own servers have for what a run asks them.

The servers log what they are asked: PostgreSQL and MariaDB are asked afterwards to explain it,
MongoDB's profiler keeps the plan that was carried out. Nothing of the connectors is touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa
from pymongo import MongoClient
from pymongo.database import Database

from devstack.bank import Servers

_LOGGED = re.compile(r"^\S+ \S+ \S+ \[\d+\] (?P<database>\S+) LOG:  statement: (?P<text>.*)$", re.M)
_COPIED = re.compile(r"COPY \((?P<select>.*)\) TO STDOUT \(FORMAT csv\)", re.S)


@dataclass(frozen=True)
class Access:
    """How one table was reached for one question.

    ``rows`` are those of the whole table, ``whole`` whether all of it (or of an index) is read.
    """

    source: str
    table: str
    how: str
    rows: int
    whole: bool
    asked: str = field(compare=False)

    def __str__(self) -> str:
        mark = "WHOLE" if self.whole else ""
        return f"{self.source:<11}{self.table:<15}{self.rows:>9,}  {mark:<6}{self.how}"


@contextmanager
def watched(servers: Servers, postgres_log: Path) -> Iterator[list[Access]]:
    """Lets the servers note what they are asked; the list is filled at the end.

    Args:
        postgres_log: what the server of core and cards prints.
    """
    found: list[Access] = []
    core, cards = (_libpq(servers.urls[name]) for name in ("core", "cards"))
    lending = sa.engine.make_url(servers.urls["lending"])
    client: MongoClient[dict[str, Any]] = MongoClient(servers.urls["engagement"])
    engagement = client.get_default_database()
    with _postgres_logging(core, cards), _mariadb_logging(lending), _profiling(engagement):
        start = postgres_log.stat().st_size
        yield found
        logged = postgres_log.read_bytes()[start:].decode()
        found += _of_mariadb(lending)
        found += _of_mongodb(engagement)
    for source, url in (("core", core), ("cards", cards)):
        found += _of_postgres(source, url, logged)
    client.close()


@contextmanager
def _postgres_logging(*urls: str) -> Iterator[None]:
    names = [str(sa.engine.make_url(url).database) for url in urls]
    with psycopg.connect(urls[0], autocommit=True) as admin:
        try:
            admin.execute("ALTER SYSTEM SET log_line_prefix = '%m [%p] %d '")
            admin.execute("SELECT pg_reload_conf()")
            for name in names:
                admin.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'".encode())
            yield
        finally:
            for name in names:
                admin.execute(f'ALTER DATABASE "{name}" RESET log_statement'.encode())
            admin.execute("ALTER SYSTEM RESET log_line_prefix")
            admin.execute("SELECT pg_reload_conf()")


def _of_postgres(source: str, url: str, logged: str) -> Iterator[Access]:
    name = sa.engine.make_url(url).database
    # Further lines of a statement begin with a tab.
    told = logged.replace("\n\t", "\n ").replace("\n ", " ")
    with psycopg.connect(url, autocommit=True) as connection:
        for line in _LOGGED.finditer(told):
            copied = _COPIED.match(line["text"])
            if line["database"] != name or copied is None:
                continue
            explain = f"EXPLAIN (FORMAT JSON) {copied['select']}".encode()
            row = connection.execute(explain).fetchone()
            assert row is not None
            for node in _nodes(row[0][0]["Plan"]):
                table = node.get("Relation Name")
                if table is None:
                    continue
                yield Access(
                    source,
                    table,
                    ", ".join(_steps(node)),
                    _counted(connection, table),
                    _reads_all(connection, node),
                    copied["select"],
                )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _steps(node: dict[str, Any]) -> Iterator[str]:
    for each in _nodes(node):
        index = each.get("Index Name")
        yield f"{each['Node Type']}{f' on {index}' if index else ''}"


def _reads_all(connection: psycopg.Connection[Any], node: dict[str, Any]) -> bool:
    """Whether a node reads all of its table: in sequence, or by a whole index of all its rows."""
    if node["Node Type"] == "Seq Scan":
        return True
    for each in _nodes(node):
        if "Index Name" in each and "Index Cond" not in each:
            partial = "SELECT indpred IS NOT NULL FROM pg_index WHERE indexrelid = %s::regclass"
            if connection.execute(partial, (each["Index Name"],)).fetchone() != (True,):
                return True
    return False


def _counted(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _mariadb_logging(url: sa.engine.URL) -> Iterator[None]:
    with _mariadb(url) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("SET GLOBAL log_output = 'TABLE'")
            cursor.execute("TRUNCATE mysql.general_log")
            cursor.execute("SET GLOBAL general_log = 1")
            yield
        finally:
            cursor.execute("SET GLOBAL general_log = 0")
            cursor.execute("SET GLOBAL log_output = 'FILE'")


def _of_mariadb(url: sa.engine.URL) -> list[Access]:
    found = []
    with _mariadb(url) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute("SET GLOBAL general_log = 0")
        cursor.execute(
            "SELECT argument FROM mysql.general_log WHERE command_type = 'Query' "
            "AND argument LIKE 'SELECT %FROM `%' AND argument NOT LIKE '%LIMIT 0%' "
            "AND argument NOT LIKE '%FROM `mysql`%'"
        )
        statements = [row["argument"] for row in cursor.fetchall()]
        for raw in statements:
            asked = raw.decode() if isinstance(raw, bytes) else str(raw)
            table = asked.partition(" FROM `")[2].partition("`")[0]
            cursor.execute(f"SELECT count(*) AS n FROM `{table}`")
            rows = int((cursor.fetchone() or {"n": 0})["n"])
            cursor.execute(f"EXPLAIN {asked}")
            for step in cursor.fetchall():
                how = f"{step['type']} on {step['key']}" if step["key"] else str(step["type"])
                told = step["Extra"] or ""
                whole = step["type"] in ("ALL", "index")
                found.append(Access("lending", table, f"{how} {told}".strip(), rows, whole, asked))
    return found


@contextmanager
def _profiling(database: Database[dict[str, Any]]) -> Iterator[None]:
    database.command("profile", 0)
    database["system.profile"].drop()
    database.command("profile", 2)
    try:
        yield
    finally:
        database.command("profile", 0)


def _of_mongodb(database: Database[dict[str, Any]]) -> list[Access]:
    database.command("profile", 0)
    found = []
    reads = {"planSummary": {"$exists": True}, "appName": "profile-prefetch"}
    for told in database["system.profile"].find(reads):
        command = told["command"]
        filtered = command.get("filter", command.get("pipeline", [{}])[0].get("$match", {}))
        if command.get("limit") == 1 and not filtered:
            continue  # the one document that fixes the snapshot, or shows the grant
        table = told["ns"].partition(".")[2]
        rows = database[table].estimated_document_count()
        looked = max(told.get("docsExamined", 0), told.get("keysExamined", 0))
        how = f"{told['planSummary']}, {looked:,} looked at"
        whole = "COLLSCAN" in told["planSummary"] or (rows > 0 and looked >= rows)
        found.append(
            Access("engagement", table, how, rows, whole, json.dumps(filtered, default=str))
        )
    return found


def _mariadb(url: sa.engine.URL) -> pymysql.Connection[Any]:
    positional, named = url.set(drivername="mysql+pymysql").get_dialect()().create_connect_args(url)
    return pymysql.connect(*positional, **{**named, "charset": "utf8mb4", "autocommit": True})


def _libpq(url: str) -> str:
    plain = sa.engine.make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)
