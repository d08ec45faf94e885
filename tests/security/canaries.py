"""A bank in which every value is a canary, in four kinds of databases, and a Redis."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import sqlalchemy as sa

USERS = 30
FORGED = "forged-line"
PLANTED = "cnry999999"
"""What a damaged program says on purpose."""

VALUES = re.compile(rb"cnry\d{6}|70417000000\d{5}")
"""Texts and numbers that may be in Redis and nowhere else."""
KEYS = re.compile(rb"keyc\d{6}")
"""Keys of rows, which the private file of a quarantine may hold, too."""
SECRETS = re.compile(rb"scrt[a-z]+\d")
BREAKS = re.compile(rb"(?:^|[\r\n\x1b])[^\r\n]{0,3}" + FORGED.encode())
"""A line that a value has begun."""

PASSWORD_OF = {
    name: f"scrt{name}1" for name in ("core", "lending", "cards", "redis", "hash", "wrong")
}

PIPELINE = """\
profile: {name: canaries, anchor: core.client, user_id: {type: integer}, buckets: 4}
sources:
  core: {kind: sql, url: "${CANARY_CORE_URL}", connect_timeout_s: 2}
  lending: {kind: sql, url: "${CANARY_LENDING_URL}", connect_timeout_s: 2}
  cards: {kind: mongodb, url: "${CANARY_CARDS_URL}", connect_timeout_s: 2}
  web: {kind: sql, url: "${CANARY_WEB_URL}"}
links:
  owner: {dataset: core.owner, from: account_no, to: client_id}
  by_mail: {dataset: core.client, from: email, to: client_id, case_insensitive: true}
datasets:
  core.client:
    {user_id: client_id, into: identity, primary_key: client_id, cursor: updated_at,
     columns: {born: date, income: {type: decimal, scale: 2}},
     fields: {name: {}, email: {}, born: {}, income: {}, pin: {class: secret}, note: {}}}
  core.login:
    {user_id: client_id, into: auth, required: true, primary_key: client_id,
     columns: {password_hash: password_hash, locked: boolean},
     fields: {password_hash: {class: secret}, locked: {}, last_place: {}}}
  core.owner: {columns: {account_no: string, client_id: integer}}
  lending.loan:
    {user_id: {link: owner, on: account_no}, into: "loans[]", primary_key: loan_id,
     order_by: loan_id, columns: {signed: timestamp, principal: {type: decimal, scale: 2}},
     fields: [loan_id, principal, signed, terms]}
  cards.card:
    {user_id: client_id, into: "cards[]", primary_key: card_no, order_by: card_no,
     columns: {card_no: string, client_id: integer, limits: json, holder: string, cents: integer},
     fields: [card_no, limits, holder, cents]}
  web.visit:
    {user_id: {link: by_mail, on: mail}, into: "visits[]", primary_key: nr, order_by: nr,
     columns: {nr: string, mail: string, page: string, seen: timestamp}, fields: [nr, page, seen]
     HOOK}
guard: {max_quarantined_share: SHARE, max_changed_share: 1, max_removed: 1000000}
index:
  fields:
    - {name: email, type: tag, path: $.identity.email, unique: true}
    - {name: name, type: text, path: $.identity.name}
"""

HOOKS = f"""\
def explodes(rows):
    raise ValueError("{PLANTED} " + rows.to_csv())

def lies(rows):
    return rows.to_csv() + "{PLANTED}"

def grows(rows):
    import pandas as pd
    return pd.concat([rows, rows])

def breaks(rows):
    return rows.assign(page=rows["page"] + "\\nERROR {FORGED}").drop(columns="seen")
"""

TABLES = {
    "client": "client_id text, name text, email text, born text, income text, pin text,"
    " note text, updated_at timestamptz",
    "login": "client_id text, password_hash text, locked text, last_place text",
    "owner": "account_no text, client_id text",
}


@dataclass(frozen=True)
class Hosts:
    """The servers' URLs as an administrator; ``locked`` says that MongoDB asks for a password."""

    postgres: str
    mariadb: str
    mongodb: str
    locked: bool = False


@dataclass
class CanaryBank:
    """The databases, filled; each has a user with a password of its own."""

    hosts: Hosts
    folder: Path
    name: str
    environ: dict[str, str] = field(default_factory=dict)
    planted: int = 0
    """How many canaries there are."""

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hooks.py").write_text(HOOKS, encoding="utf-8")
        self._fill_core()
        self._fill_lending()
        self._fill_cards()
        self._fill_web()

    def config(self, name: str = "canaries", *, share: float = 1, hook: str = "") -> Path:
        """A pipeline file; ``share`` of rows may be bad, ``hook`` is one of ``HOOKS``."""
        path = self.folder / f"{name}.yaml"
        transform = f', transform: "hooks:{hook}"' if hook else ""
        text = PIPELINE.replace("SHARE", f"{share:g}").replace("\n     HOOK", transform)
        path.write_text(text, encoding="utf-8")
        return path

    def core(self, statement: str) -> None:
        """Runs a statement as the administrator of core."""
        with psycopg.connect(self._core, autocommit=True) as admin:
            admin.execute(statement.encode())

    def web(self, statement: str) -> None:
        """Runs a statement in the file of web."""
        with closing(sqlite3.connect(self.folder / "web.sqlite")) as file, file:
            file.execute(statement)

    def canary(self) -> str:
        """A new one, in a text."""
        self.planted += 1
        return f"cnry{next(self._numbers):06d}"

    def key(self) -> str:
        """A new one for a key."""
        self.planted += 1
        return f"keyc{next(self._numbers):06d}"

    def amount(self) -> int:
        """A new one, as a number."""
        self.planted += 1
        return 7_041_700_000_000_000 + next(self._numbers)

    def _fill_core(self) -> None:
        self._core = _database(self.hosts.postgres, self.name)
        with psycopg.connect(self.hosts.postgres, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {self.name}".encode())
            login = f"CREATE ROLE {self.name} LOGIN PASSWORD '{PASSWORD_OF['core']}'"
            server.execute(login.encode())
        for table, columns in TABLES.items():
            self.core(f"CREATE TABLE {table} ({columns})")
            self.core(f"GRANT SELECT ON {table} TO {self.name}")
        with psycopg.connect(self._core) as core:
            self._insert(core, "client", self._clients())
            self._insert(core, "login", self._logins())
            owners = [(f"keyc{n:06d}", str(n)) for n in range(USERS)]
            self._insert(core, "owner", iter([*owners, ("keyc000001", "2"), ("keyc900000", "x")]))
        self.environ["CANARY_CORE_URL"] = _as(self._core, self.name, PASSWORD_OF["core"])

    def _clients(self) -> Iterator[tuple[Any, ...]]:
        for n in range(USERS):
            lines = f"{self.canary()}\r\nERROR {FORGED}\x1b[31m{FORGED}\n{FORGED}"
            mail = f"{self.canary()}@bank.example"
            born = f"1907-03-{n % 28 + 1:02d}"
            yield (n, lines, mail, born, f"{self.amount()}.25", *self._texts(2), "2026-01-01Z")
        for born, income in ((self.canary(), "1"), ("1907-02-31", f"{self.amount()}.125")):
            yield (900, *self._texts(2), born, income, *self._texts(2), "2026-01-01Z")
        yield (901, *self._texts(2), self.canary(), "NaN", *self._texts(2), "2026-01-01Z")
        yield (902, *self._texts(2), "1907-03-01", self.canary(), *self._texts(2), "2026-01-01Z")
        yield (self.key(), *self._texts(2), "1907-03-01", "1", *self._texts(2), "2026-01-01Z")

    def _logins(self) -> Iterator[tuple[Any, ...]]:
        for n in range(USERS - 3):
            yield (n, self._hash(), "false", self.canary())
        yield (USERS - 3, self.canary(), "false", self.canary())
        yield (USERS - 2, self._hash(), self.canary(), self.canary())
        for place in self._texts(2):
            yield (USERS - 1, self._hash(), "false", place)
        yield (self.key(), self._hash(), "false", self.canary())

    def _hash(self) -> str:
        """A hash that nobody's password has."""
        return "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$" + self.canary().ljust(43, "A")

    def _fill_lending(self) -> None:
        server = sa.engine.make_url(self.hosts.mariadb)
        with sa.create_engine(server, poolclass=sa.NullPool).begin() as admin:
            run = admin.exec_driver_sql
            run(f"CREATE DATABASE {self.name}")
            run(f"CREATE USER {self.name} IDENTIFIED BY '{PASSWORD_OF['lending']}'")
            run(f"GRANT SELECT ON {self.name}.* TO {self.name}")
            columns = "loan_id text, account_no text, principal text, signed text, terms text"
            run(f"CREATE TABLE {self.name}.loan ({columns})")
            run(f"INSERT INTO {self.name}.loan VALUES (%s, %s, %s, %s, %s)", list(self._loans()))
        url = server.set(username=self.name, password=PASSWORD_OF["lending"], database=self.name)
        self.environ["CANARY_LENDING_URL"] = url.render_as_string(hide_password=False)

    def _loans(self) -> Iterator[tuple[Any, ...]]:
        for n in range(USERS):
            signed = "2026-01-01T00:00:00Z"
            yield (self.key(), f"keyc{n:06d}", f"{self.amount()}.50", signed, self.canary())
        yield (self.key(), self.key(), "1", "2026-01-01T00:00:00Z", self.canary())
        yield (self.key(), "keyc000003", self.canary(), self.canary(), self.canary())
        yield (self.key(), "keyc000003", "Infinity", "2026-01-01 00:00:00", self.canary())

    def _fill_cards(self) -> None:
        with pymongo.MongoClient[dict[str, Any]](self.hosts.mongodb) as client:
            database = client[self.name]
            database["card"].insert_many(list(self._cards()))
            roles = [{"role": "read", "db": self.name}]
            database.command("createUser", self.name, pwd=PASSWORD_OF["cards"], roles=roles)
        base, _, options = _database(self.hosts.mongodb, self.name).partition("?")
        kept = [o for o in options.split("&") if o and not o.startswith("authSource")]
        url = f"{base}?{'&'.join([*kept, f'authSource={self.name}'])}"
        self.environ["CANARY_CARDS_URL"] = _as(url, self.name, PASSWORD_OF["cards"])

    def _cards(self) -> Iterator[dict[str, Any]]:
        for n in range(USERS):
            limits = {"day": self.amount(), self.canary(): [self.canary()]}
            yield self._card(n, limits=limits)
        deep: Any = self.canary()
        for _ in range(90):
            deep = {self.canary(): deep}
        yield self._card(3, limits={"deep": deep})
        yield self._card(3, limits={"n": float("nan"), "text": self.canary()})
        yield self._card(3, cents=self.canary())
        yield self._card(3, holder="a\ud800b".encode("utf-8", "surrogatepass"))
        yield self._card(self.key())

    def _card(self, client_id: int | str, **more: Any) -> dict[str, Any]:
        whole = {"card_no": self.key(), "client_id": client_id, "holder": self.canary()}
        return {**whole, "limits": {}, "cents": self.amount(), **more}

    def _fill_web(self) -> None:
        file = self.folder / "web.sqlite"
        self.environ["CANARY_WEB_URL"] = f"sqlite:///{file}"
        self.web("CREATE TABLE visit (nr text, mail text, page text, seen text)")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.executemany("INSERT INTO visit VALUES (?, ?, ?, ?)", list(self._visits()))

    def _visits(self) -> Iterator[tuple[Any, ...]]:
        with psycopg.connect(self._core) as core:
            mails = core.execute("SELECT email FROM client WHERE client_id ~ '^[0-9]+$'").fetchall()
        for (mail,) in mails[:USERS]:
            yield (self.key(), mail.upper(), self.canary(), "2026-01-01T00:00:00Z")
        yield (self.key(), f"{self.key()}@nowhere", self.canary(), "2026-01-01T00:00:00Z")
        yield (self.key(), mails[0][0], self.canary(), self.canary())

    def _texts(self, number: int) -> list[str]:
        return [self.canary() for _ in range(number)]

    @staticmethod
    def _insert(core: psycopg.Connection[Any], table: str, rows: Iterator[tuple[Any, ...]]) -> None:
        with core.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row([str(value) for value in row])


def _database(url: str, database: str) -> str:
    before, _, options = url.partition("?")
    base = before.rsplit("/", 1)[0]
    return f"{base}/{database}" + (f"?{options}" if options else "")


def _as(url: str, user: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2] if "@" in rest.partition("?")[0] else rest
    return f"{scheme}://{user}:{password}@{place}"
