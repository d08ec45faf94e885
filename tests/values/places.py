"""The corpus in real databases: a user for each value of each kind of source, and its pipeline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import bson
import psycopg
import pymongo
import pymysql
import sqlalchemy as sa
from bson.raw_bson import RawBSONDocument

from devstack import Stack
from tests.programs import url_of_mariadb
from tests.values.value import Group, Raw, Refused, Sql, Value

FIT = "_fit"
"""Beside each table, one with the good values only: columns without a bad one go other ways."""

SECRET = "password"


class Case(NamedTuple):
    """A value of one user."""

    kind: str
    table: str
    value: Value

    @property
    def section(self) -> str:
        """Its place in the user's profile."""
        return f"{self.kind}_{self.table}"


@dataclass(frozen=True)
class Table:
    """A table of one kind of source: the users and their values."""

    kind: str
    name: str
    group: Group
    rows: list[tuple[int, Value]]


def tables_of(groups: tuple[Group, ...], kinds: tuple[str, ...]) -> Iterator[Table]:
    """All tables; the users are numbered from 1."""
    user = 0
    for group in groups:
        for kind in kinds:
            values = group.of(kind)
            good = [value for value in values if not isinstance(value.expected, Refused)]
            for name, some in ((f"v_{group.name}", values), (f"v_{group.name}{FIT}", good)):
                if some and not (name.endswith(FIT) and len(good) == len(values)):
                    yield Table(kind, name, group, list(enumerate(some, user + 1)))
                    user += len(some)


def pipeline(tables: list[Table], anchor: str) -> str:
    """The pipeline file; each table feeds a section of its own."""
    kinds = dict.fromkeys(table.kind for table in tables)
    lines = [
        f"profile: {{name: corpus, anchor: {anchor}.users, user_id: {{type: integer}}, buckets: 16}}",
        "guard: {max_quarantined_share: 1}",
        "sources:",
        *(f'  {kind}: {{kind: {_kind(kind)}, url: "${{{variable(kind)}}}"}}' for kind in kinds),
        "datasets:",
        f"  {anchor}.users: {{user_id: id, into: ., columns: {{id: integer}}, fields: {{n: id}}}}",
    ]
    for table in tables:
        how = "{class: secret}" if table.group.name == SECRET else "{}"
        lines += [
            f"  {table.kind}.{table.name}:",
            f"    {{user_id: id, into: {table.kind}_{table.name}, empty: absent, primary_key: id,",
            f"     columns: {{id: integer, v: {table.group.entry}}}, fields: {{v: {how}}}}}",
        ]
    return "\n".join(lines) + "\n"


class Row(NamedTuple):
    """A row of a table of ids: its number, the id, and an e-mail."""

    n: int
    given: Any
    mail: str | None = None


@dataclass(frozen=True)
class Shelf:
    """A table of ids or of e-mails in one kind of source."""

    kind: str
    name: str
    column: str
    rows: list[Row]


def put(
    stack: Stack, folder: Path, name: str, shelves: list[Shelf], types: dict[str, str]
) -> dict[str, str]:
    """Makes databases with these tables; ``types`` of the column by kind, or ``kind.table``."""
    environ = {}
    for kind in dict.fromkeys(shelf.kind for shelf in shelves):
        environ[variable(kind)] = _FILL[kind](stack, folder, name, [])
        for shelf in shelves:
            if shelf.kind == kind:
                sql_type = types.get(f"{kind}.{shelf.name}", types.get(kind, ""))
                _SHELVE[kind](environ[variable(kind)], shelf, sql_type)
    return environ


def variable(kind: str) -> str:
    """The variable of the pipeline file that says where a source is."""
    return f"CORPUS_{kind.upper()}_URL"


def _kind(kind: str) -> str:
    return "mongodb" if kind == "mongodb" else "sql"


def fill(stack: Stack, folder: Path, name: str, tables: list[Table]) -> dict[str, str]:
    """Makes the databases and fills them; gives the variables of the pipeline file."""
    environ = {}
    for kind in dict.fromkeys(table.kind for table in tables):
        own = [table for table in tables if table.kind == kind]
        environ[variable(kind)] = _FILL[kind](stack, folder, name, own)
    return environ


def _native(table: Table, value: Value) -> Any:
    make = table.group.native.get(table.kind)
    return value.given if make is None or isinstance(value.given, Sql | Raw) else make(value.given)


def _put(cursor: Any, table: Table, place: str) -> None:
    """Inserts a table's rows through a driver's cursor."""
    cursor.execute(f"CREATE TABLE {table.name} (id bigint, v {table.group.columns[table.kind]})")
    for user, value in table.rows:
        given = _native(table, value)
        if isinstance(given, Sql):
            cursor.execute(f"INSERT INTO {table.name} VALUES ({user}, {given.text})")
        else:
            cursor.execute(f"INSERT INTO {table.name} VALUES ({user}, {place})", (given,))


def _postgres(
    stack: Stack, folder: Path, name: str, tables: list[Table], how: str = "ENCODING 'UTF8'"
) -> str:
    url = stack.urls["postgres"]
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} {how} TEMPLATE template0 LOCALE 'C'".encode())
    url = url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(url, client_encoding="UTF8") as connection:
        connection.execute("SET bytea_output = hex")
        connection.execute("SET lc_monetary = 'C'")
        for table in tables:
            _put(connection.cursor(), table, "%s")
    return url


def _sql_ascii(stack: Stack, folder: Path, name: str, tables: list[Table]) -> str:
    return _postgres(stack, folder, f"{name}_ascii", tables, "ENCODING 'SQL_ASCII'")


def _mariadb(stack: Stack, folder: Path, name: str, tables: list[Table]) -> str:
    url = sa.engine.make_url(url_of_mariadb(stack))
    with closing(
        pymysql.connect(host=url.host, port=url.port or 0, user=url.username, charset="utf8mb4")
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"USE {name}")
        cursor.execute("SET sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'")
        for table in tables:
            _put(cursor, table, "%s")
        connection.commit()
    return url.set(database=name).render_as_string(hide_password=False)


def _sqlite(stack: Stack, folder: Path, name: str, tables: list[Table]) -> str:
    file = folder / f"{name}.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        for table in tables:
            _put(connection.cursor(), table, "?")
    return f"sqlite:///{file}"


def _mongodb(stack: Stack, folder: Path, name: str, tables: list[Table]) -> str:
    url = stack.urls["mongodb"]
    with pymongo.MongoClient[Any](url, uuidRepresentation="standard") as client:
        for table in tables:
            rows = [_document(user, _native(table, value)) for user, value in table.rows]
            client[name][table.name].insert_many(rows)
    return url.replace("/?", f"/{name}?", 1)


def _document(user: int, given: Any) -> Any:
    if not isinstance(given, Raw):
        return {"_id": user, "id": user, "v": given}
    stands_for = b"Q" * len(given.text)
    whole = bson.encode({"_id": user, "id": user, "v": stands_for.decode()})
    return RawBSONDocument(whole.replace(stands_for, given.text))


_FILL = {
    "postgres": _postgres,
    "sql_ascii": _sql_ascii,
    "mariadb": _mariadb,
    "sqlite": _sqlite,
    "mongodb": _mongodb,
}


def _shelve(cursor: Any, shelf: Shelf, sql_type: str, place: str) -> None:
    cursor.execute(f"CREATE TABLE {shelf.name} (n bigint, {shelf.column} {sql_type})")
    for row in shelf.rows:
        cursor.execute(f"INSERT INTO {shelf.name} VALUES ({row.n}, {place})", (row.given,))


def _shelve_postgres(url: str, shelf: Shelf, sql_type: str) -> None:
    with psycopg.connect(url, client_encoding="UTF8") as connection:
        _shelve(connection.cursor(), shelf, sql_type, "%s")


def _shelve_mariadb(url: str, shelf: Shelf, sql_type: str) -> None:
    at = sa.engine.make_url(url)
    with closing(
        pymysql.connect(
            host=at.host,
            port=at.port or 0,
            user=at.username,
            database=at.database,
            charset="utf8mb4",
        )
    ) as connection:
        _shelve(connection.cursor(), shelf, sql_type, "%s")
        connection.commit()


def _shelve_sqlite(url: str, shelf: Shelf, sql_type: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        _shelve(connection.cursor(), shelf, sql_type, "?")


def _shelve_mongodb(url: str, shelf: Shelf, sql_type: str) -> None:
    with pymongo.MongoClient[Any](url) as client:
        rows = [{"n": row.n, shelf.column: row.given, "mail": row.mail} for row in shelf.rows]
        if shelf.column == "mail":
            rows = [{"n": row.n, "mail": row.given} for row in shelf.rows]
        client.get_default_database()[shelf.name].insert_many(rows)


_SHELVE = {
    "postgres": _shelve_postgres,
    "mariadb": _shelve_mariadb,
    "sqlite": _shelve_sqlite,
    "mongodb": _shelve_mongodb,
}
