"""Databases of the source faults in PostgreSQL, MariaDB and MongoDB, and a writer of each.

Every source has the tables ``a`` and ``b`` with an amount for each user. A writer only ever moves
amounts between the two, so that a profile whose two amounts don't add up to ``TOTAL`` was read in
two states.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import psycopg
import pymongo
import pymysql

from devstack.mariadb import MariaDBServer
from tests.faults.campaign import Ground

USERS = 120
TOTAL = 1000
PAD = "x" * 2000
"""Makes a table several chunks long."""


class Servers:
    """PostgreSQL, MongoDB and MariaDB for all benches of a ground."""

    def __init__(self, ground: Ground) -> None:
        self.postgres, self.mongodb = ground.stack.urls["postgres"], ground.stack.urls["mongodb"]
        self.mariadb = MariaDBServer(ground.new_folder("mariadb"))

    def __enter__(self) -> Self:
        self.mariadb.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.mariadb.close()


class Databases:
    """A database of the same name on each server."""

    def __init__(self, servers: Servers, name: str) -> None:
        self.servers, self.name = servers, name

    @property
    def urls(self) -> dict[str, str]:
        """The variables of the pipeline file."""
        mariadb = f"mysql+pymysql://root@127.0.0.1:{self.servers.mariadb.port}/{self.name}"
        return {
            "ROWS_CORE_URL": self.servers.postgres.rpartition("/")[0] + f"/{self.name}",
            "ROWS_LENDING_URL": mariadb,
            "ROWS_CARDS_URL": self.servers.mongodb.replace("/?", f"/{self.name}?", 1),
        }

    def postgres(self, *statements: str) -> list[Any]:
        """Runs statements in the source ``core``; the rows of the last."""
        with psycopg.connect(self.urls["ROWS_CORE_URL"], autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def mysql(self, *statements: str, database: str | None = None) -> list[Any]:
        """Likewise in the source ``lending``."""
        port = self.servers.mariadb.port
        with pymysql.connect(
            host="127.0.0.1", port=port, user="root", autocommit=True,
            database=self.name if database is None else database or None,
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def mongo(self) -> Iterator[pymongo.database.Database[Any]]:
        """The database of the source ``cards``."""
        with pymongo.MongoClient[Any](self.servers.mongodb) as client:
            yield client[self.name]

    def fill(self) -> None:
        """Puts the sources back to how they were at first."""
        ids = range(1, USERS + 1)
        self.postgres(
            "DROP TABLE IF EXISTS client, a, b CASCADE",
            "CREATE TABLE client (id int, name text, pin text, changed timestamptz)",
            f"INSERT INTO client SELECT n, 'name ' || n, 'pin ' || n, now() - interval '1 day' "
            f"FROM generate_series(1, {USERS}) n",
            *(
                f"CREATE TABLE {name} AS SELECT n AS id, {TOTAL // 2} AS amount, '{PAD}' AS pad "
                f"FROM generate_series(1, {USERS}) n"
                for name in "ab"
            ),
        )
        self.mysql(
            "DROP VIEW IF EXISTS slow",
            *(f"DROP TABLE IF EXISTS {name}" for name in "ab"),
            *(
                f"CREATE TABLE {name} AS SELECT seq AS id, {TOTAL // 2} AS amount, "
                f"repeat('x', 2000) AS pad FROM seq_1_to_{USERS}"
                for name in "ab"
            ),
        )
        with self.mongo() as database:
            for name in "ab":
                database[name].delete_many({})
                rows = [{"_id": n, "id": n, "amount": TOTAL // 2, "pad": PAD} for n in ids]
                database[name].insert_many(rows)

    @contextmanager
    def moving(self, source: str, pause_s: float = 0.0) -> Iterator[list[int]]:
        """A writer that moves amounts between ``a`` and ``b`` all the while, in transactions.

        Gives a list that grows with every transaction.
        """
        stop, done = threading.Event(), list[int]()

        def work() -> None:
            move = getattr(self, f"_move_{source}")
            with ExitStack() as opened:
                step = move(opened)
                while not stop.is_set():
                    step(7 if len(done) % 2 else -7)
                    done.append(1)
                    time.sleep(pause_s)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield done
        finally:
            stop.set()
            thread.join()

    def create(self) -> None:
        """Makes the databases."""
        with psycopg.connect(self.servers.postgres, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {self.name}".encode())
        self.mysql(f"CREATE DATABASE {self.name}", database="")

    def _move_core(self, opened: ExitStack) -> Any:
        url = self.urls["ROWS_CORE_URL"]
        connection = opened.enter_context(psycopg.connect(url, autocommit=True))

        def step(by: int) -> None:
            with connection.transaction():
                connection.execute(f"UPDATE a SET amount = amount - {by}".encode())
                connection.execute(f"UPDATE b SET amount = amount + {by}".encode())

        return step

    def _move_lending(self, opened: ExitStack) -> Any:
        connection = opened.enter_context(
            pymysql.connect(
                host="127.0.0.1", port=self.servers.mariadb.port, user="root", database=self.name
            )
        )
        cursor = connection.cursor()

        def step(by: int) -> None:
            cursor.execute(f"UPDATE a SET amount = amount - {by}")
            cursor.execute(f"UPDATE b SET amount = amount + {by}")
            connection.commit()

        return step

    def _move_cards(self, opened: ExitStack) -> Any:
        client = opened.enter_context(pymongo.MongoClient[Any](self.servers.mongodb))
        session = opened.enter_context(client.start_session())
        database = client[self.name]

        def step(by: int) -> None:
            with session.start_transaction():
                database.a.update_many({}, {"$inc": {"amount": -by}}, session=session)
                database.b.update_many({}, {"$inc": {"amount": by}}, session=session)

        return step
