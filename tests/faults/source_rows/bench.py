"""The bench of the source faults: a bank in PostgreSQL, MariaDB and MongoDB, and runs over it.

Every source has the tables ``a`` and ``b`` with an amount for each user. A writer only ever moves
amounts between the two, so that a profile whose two amounts don't add up to ``TOTAL`` was read in
two states.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pymongo
import pymysql
import redis

from devstack import RedisServer
from devstack.mariadb import MariaDBServer
from tests.faults.campaign import Ground
from tests.faults.scene import RUN_S, Ended
from tests.forked import Forked

USERS = 120
TOTAL = 1000
PAD = "x" * 2000
"""Makes a table several chunks long."""

PIPELINE = """\
profile: {name: rows, anchor: core.client, user_id: {type: integer}, buckets: 8}
sources:
  core: {kind: sql, url: "${ROWS_CORE_URL}"CORE}
  lending: {kind: sql, url: "${ROWS_LENDING_URL}"LENDING}
  cards: {kind: mongodb, url: "${ROWS_CARDS_URL}"CARDS}
datasets:
  core.client:
    {user_id: id, into: identity, primary_key: id, cursor: changed,
     columns: {id: integer, name: string, pin: string, changed: timestamp},
     fields: {name: {}, pin: {class: secret}}}
"""
TABLE = """\
  SOURCE.NAME:
    {user_id: id, into: SOURCE_NAME, primary_key: id,
     columns: {id: integer, amount: integer, pad: string}, fields: [amount]}
"""
SOURCES = ("core", "lending", "cards")


@dataclass(frozen=True)
class Wanted:
    """How a run has to end: its exit code, and words that its error must hold."""

    code: int
    words: tuple[str, ...] = ()


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


class Bench:
    """Databases of its own on the servers, a Redis, and runs; made once for several trials."""

    def __init__(self, ground: Ground, servers: Servers) -> None:
        self.ground, self.servers = ground, servers
        self.folder = ground.new_folder("bench")
        self.name = self.folder.name.replace("-", "_")
        self.redis: RedisServer = ground.redis()
        self.stage, self.config = self.folder / "stage", self.folder / "rows.yaml"
        self._cleanup, self._halts = ExitStack(), 0
        self.configure()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.redis)
        self._make()
        self.fill()
        first = self.run()
        assert first.success, first.report.get("error") or first.errors[-500:]
        assert not self.unbalanced()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    # --- the sources

    @property
    def urls(self) -> dict[str, str]:
        """The variables of the pipeline file."""
        mariadb = f"mysql+pymysql://root@127.0.0.1:{self.servers.mariadb.port}/{self.name}"
        return {
            "ROWS_CORE_URL": self.servers.postgres.rpartition("/")[0] + f"/{self.name}",
            "ROWS_LENDING_URL": mariadb,
            "ROWS_CARDS_URL": self.servers.mongodb.replace("/?", f"/{self.name}?", 1),
        }

    def configure(self, tail: str = "", **more: str) -> None:
        """Writes the pipeline file; ``core``, ``lending`` and ``cards`` may say more of them."""
        text = PIPELINE
        for source in SOURCES:
            said = more.get(source)
            text = text.replace(source.upper() + "}", f", {said}}}" if said else "}")
        for source in SOURCES:
            for name in "ab":
                text += TABLE.replace("SOURCE", source).replace("NAME", name)
        self.config.write_text(text + tail, encoding="utf-8")

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

    # --- runs

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.ground.prefect_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "REDIS_URL": self.redis.url,
            "PREFETCH_STAGE_DIR": str(self.stage),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_CHUNK_BYTES": "65536",
            "PREFETCH_FENCE_ALIVE_S": "1",
            **self.urls,
            **more,
        }

    def start(self, *arguments: str, halted: str = "", most: int = 1, **environ: str) -> Forked:
        """Starts ``prefetch``; with ``halted`` it stops at that place (see ``halting``)."""
        command, *rest = arguments or ("run",)
        program = "from flows import command_line\ncommand_line.main()\n"
        if halted:
            self._halts += 1
            self.halt_folder.mkdir()
            given = f"{halted!r}, {str(self.halt_folder)!r}, {most}"
            program = f"from tests.faults.source_rows.halting import halt\nhalt({given})\n{program}"
        return self.ground.forks.prefetch(
            *(command, "--config", str(self.config), "--json", *rest),
            env=self.environ(**environ),
            program=program,
        )

    def run(self, *arguments: str, **environ: str) -> Ended:
        """A run from its start to its end."""
        return self.ended(self.start(*arguments, **environ))

    def ended(self, process: Forked) -> Ended:
        """The end of a started run."""
        with process:
            out, errors = process.communicate(RUN_S)
            lines = out.splitlines()
            report = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
            return Ended(process.wait(), report, errors)

    @property
    def halt_folder(self) -> Path:
        return self.folder / f"halt-{self._halts}"

    def reached(self, process: Forked, number: int = 1) -> None:
        """Waits until a run has stopped for the ``number``-th time."""
        until = time.monotonic() + RUN_S
        while not (self.halt_folder / f"reached-{number}").exists():
            if process.poll() is not None:
                raise AssertionError(f"it ended before: {self.ended(process).errors[-500:]}")
            assert time.monotonic() < until, "it was never reached"
            time.sleep(0.005)

    def go(self, number: int = 1) -> None:
        """Lets it go on."""
        (self.halt_folder / f"go-{number}").touch()

    # --- what Redis holds

    @property
    def client(self) -> redis.Redis:
        return self._cleanup.enter_context(redis.Redis.from_url(self.redis.url))

    def documents(self, *, epochs: bool = True) -> dict[str, Any]:
        """All documents by key, each parsed; without their epochs where these don't matter."""
        found = {}
        with redis.Redis.from_url(self.redis.url, decode_responses=True) as client:
            for prefix in ("profile", "credential"):
                for key in client.scan_iter(match=f"{prefix}:*", count=1000):
                    document = json.loads(str(client.execute_command("JSON.GET", key)))
                    if not epochs:
                        document["_meta"].pop("epoch")
                    found[str(key)] = document
        return found

    def unbalanced(self) -> list[str]:
        """The users and sources whose two amounts are of two states."""
        wrong = []
        for key, document in self.documents().items():
            if key.startswith("profile:"):
                for source in SOURCES:
                    a, b = (document[f"{source}_{name}"] for name in "ab")
                    if a is None or b is None or a["amount"] + b["amount"] != TOTAL:
                        wrong.append(f"{key} {source}")
        return wrong

    def bad_stage(self) -> list[str]:
        """What runs that have ended left in the stage."""
        return sorted(path.name for path in self.stage.glob("stage-*"))

    def forget_all(self) -> None:
        """An empty Redis, and no stage."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.execute_command("FLUSHALL", "SYNC")
        shutil.rmtree(self.stage, ignore_errors=True)

    # --- inner steps

    def _make(self) -> None:
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


def stopped(bench: Bench, ended: Ended, wanted: Wanted, before: dict[str, Any]) -> list[str]:
    """What is wrong with a run that had to fail, and to write nothing."""
    told = str(ended.report.get("error") or ended.errors[-400:])
    wrong = []
    if ended.code != wanted.code or ended.report.get("status") != "failed":
        wrong.append(f"code {ended.code}, status {ended.report.get('status')}: {told}")
    wrong += [f"no {word!r} in: {told}" for word in wanted.words if word not in told]
    if bench.documents() != before:
        wrong.append("documents changed, though the run failed before its first write")
    return wrong + [f"left in the stage: {name}" for name in bench.bad_stage()]


def right(bench: Bench, ended: Ended) -> list[str]:
    """What is wrong with a run that had to succeed."""
    if not ended.success:
        return [f"no success ({ended.code}): {ended.report.get('error') or ended.errors[-400:]}"]
    wrong = [f"of two states: {place}" for place in bench.unbalanced()[:3]]
    return wrong + [f"left in the stage: {name}" for name in bench.bad_stage()]
