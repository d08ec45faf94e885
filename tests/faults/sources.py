"""Puts the universe's rows into real sources, and says their pipeline file.

``Files`` are three SQLite files: no server, a few milliseconds for a move. ``Servers`` are two
PostgreSQL databases and a MongoDB collection. A move replaces all rows, in one transaction per
source; move only while no run is opening its snapshots, as nothing spans several sources.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pymongo
from psycopg import sql

from tests.faults.universe import Row, Tables

NAME = "faults"
"""The profile's name, and so a part of its control keys: ``prefetch:faults:…``."""

PIPELINE = """\
profile: {{name: {name}, anchor: core.client, user_id: {{type: integer}}, buckets: {buckets}}}
sources:
  core: {{kind: sql, url: "${{FAULTS_CORE_URL}}"}}
  lending: {{kind: sql, url: "${{FAULTS_LENDING_URL}}"}}
  cards: {cards}
links:
  account_owner: {{dataset: core.disp, from: account_id, to: client_id}}
  card_holder: {{dataset: core.disp, from: disp_id, to: client_id}}
datasets:
  core.client:
    {{user_id: client_id, into: identity, primary_key: client_id,
     columns: {{client_id: integer, name: string, email: string, pin: string}},
     fields: {{name: {{}}, email: {{}}, pin: {{class: secret}}}}}}
  core.login:
    {{user_id: client_id, into: auth, required: true, primary_key: client_id,
     columns: {{client_id: integer, locked: boolean, state: string}},
     fields: {{locked: {{class: public}}, state: {{}}}}}}
  core.disp:
    {{columns: {{disp_id: integer, account_id: integer, client_id: integer}}}}
  core.entitlement:
    {{user_id: client_id, into: "permissions[]", primary_key: entitlement, order_by: entitlement,
     columns: {{client_id: integer, entitlement: string}}, value: entitlement}}
  lending.loan:
    {{user_id: {{link: account_owner, on: account_id}}, into: "products.loans[]",
     primary_key: loan_id, order_by: loan_id,
     columns: {{loan_id: integer, account_id: integer, terms: string}},
     fields: [loan_id, terms]}}
  cards.card:
    {{user_id: {{link: card_holder, on: disp_id}}, into: "products.cards[]",
     primary_key: card_id, order_by: card_id,
     columns: {{card_id: integer, disp_id: integer, terms: string}},
     fields: [card_id, terms]}}
guard:
  {{max_removed: 1000000, max_changed_share: 1}}
"""
COLUMNS = {
    "client": "client_id int, name text, email text, pin text",
    "login": "client_id int, locked boolean, state text",
    "disp": "disp_id int, account_id int, client_id int",
    "entitlement": "client_id int, entitlement text",
    "loan": "loan_id int, account_id int, terms text",
    "card": "card_id int, disp_id int, terms text",
}
CORE, LENDING, CARDS = ("client", "login", "disp", "entitlement"), ("loan",), ("card",)


class Sources(Protocol):
    """Where the rows are.

    Attributes:
        environ: the variables of the pipeline file.
        cards: the pipeline file's entry of the source ``cards``.
    """

    environ: dict[str, str]
    cards: str

    def put(self, tables: Tables) -> None:
        """Replaces all rows."""


def pipeline_file(file: Path, sources: Sources, buckets: int = 16, more: str = "") -> Path:
    """Writes the pipeline file; ``more`` are further lines of YAML."""
    text = PIPELINE.format(name=NAME, buckets=buckets, cards=sources.cards)
    file.write_text(text + more, encoding="utf-8")
    return file


class Files:
    """Three SQLite files in a folder."""

    cards = '{kind: sql, url: "${FAULTS_CARDS_URL}"}'

    def __init__(self, folder: Path) -> None:
        self.environ: dict[str, str] = {}
        self._files: list[tuple[Path, tuple[str, ...]]] = []
        for name, tables in (("core", CORE), ("lending", LENDING), ("cards", CARDS)):
            file = folder / f"{name}.sqlite"
            self.environ[f"FAULTS_{name.upper()}_URL"] = f"sqlite:///{file}"
            self._files.append((file, tables))
            with closing(sqlite3.connect(file)) as connection:
                # Beside a run that reads.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                for table in tables:
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS[table]})")

    def put(self, tables: Tables) -> None:
        for file, names in self._files:
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("PRAGMA synchronous=OFF")
                for name in names:
                    connection.execute(f"DELETE FROM {name}")
                    rows = tables[name]
                    if rows:
                        places = ", ".join("?" * len(rows[0]))
                        connection.executemany(
                            f"INSERT INTO {name} VALUES ({places})", map(_values, rows)
                        )


class Servers:
    """Two databases of a PostgreSQL, and one of a MongoDB (a replica set).

    Args:
        database: the name of all of them, which this makes; two of one name can't be.
    """

    def __init__(self, postgres_url: str, mongodb_url: str, database: str) -> None:
        self.cards = f'{{kind: mongodb, url: "${{FAULTS_CARDS_URL}}", database: {database}}}'
        self.environ = {"FAULTS_CARDS_URL": mongodb_url}
        self._mongodb, self._database = mongodb_url, database
        self._sql: list[tuple[str, tuple[str, ...]]] = []
        server = postgres_url.replace("+psycopg", "")
        for name, tables in (("core", CORE), ("lending", LENDING)):
            own = f"{database}_{name}"
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
            url = _with_database(server, own)
            with psycopg.connect(url) as connection:
                for table in tables:
                    connection.execute(f"CREATE TABLE {table} ({COLUMNS[table]})".encode())
            self.environ[f"FAULTS_{name.upper()}_URL"] = url
            self._sql.append((url, tables))

    def put(self, tables: Tables) -> None:
        for url, names in self._sql:
            with psycopg.connect(url) as connection:
                for name in names:
                    connection.execute(f"DELETE FROM {name}".encode())
                    copying = f"COPY {name} FROM STDIN".encode()
                    with connection.cursor() as cursor, cursor.copy(copying) as copy:
                        for row in tables[name]:
                            copy.write_row(_values(row))
        with pymongo.MongoClient[dict[str, Any]](self._mongodb) as client:
            cards = client[self._database].card
            with client.start_session() as session, session.start_transaction():
                cards.delete_many({}, session=session)
                # The driver adds _id to what it is given.
                cards.insert_many([dict(row) for row in tables["card"]], session=session)


def _values(row: Row) -> tuple[Any, ...]:
    return tuple(row.values())


def _with_database(url: str, database: str) -> str:
    before, _, behind = url.partition("?")
    base = before.rsplit("/", 1)[0]
    return f"{base}/{database}" + (f"?{behind}" if behind else "")
