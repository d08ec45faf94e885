"""Rows 48 to 54: snapshots, conflicts, replicas, time-outs, slow readers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pymongo
import pymysql
from pymongo.errors import ConnectionFailure

from devstack.mariadb import MariaDBServer
from devstack.mongodb import MongoServer
from devstack.postgres import PostgresServer
from tests.faults.source_rows.bench import SOURCES, Bench, Wanted, right, stopped


def moved_between_two_tables(bench: Bench, dice: random.Random) -> list[str]:
    source = dice.choice(SOURCES)
    with bench.moving(source) as moves:
        process = bench.start_halted(f"in {source}.a")
        bench.reached(process)
        seen = len(moves)
        until = time.monotonic() + 20
        while len(moves) < seen + 3 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(moves) > seen, "nothing moved between the two reads"
        bench.go()
        ended = bench.ended(process)
    wrong = right(bench, ended)
    if ended.report["sources"][source]["consistency"] != "snapshot":
        wrong.append(f"{source}: no snapshot")
    bench.fill()
    return wrong


def rewritten_after_the_snapshot(bench: Bench, dice: random.Random) -> list[str]:
    """A table that ALTER TABLE has rewritten looks empty to older snapshots: read again."""
    change = dice.choice(
        (
            "ALTER TABLE b ALTER COLUMN amount TYPE bigint",
            "ALTER TABLE b ADD COLUMN more uuid DEFAULT gen_random_uuid()",
            "CREATE TABLE c AS SELECT * FROM b; DROP TABLE b; ALTER TABLE c RENAME TO b",
        )
    )
    first = counter(bench)
    process = bench.start_halted("open", PREFETCH_EXTRACT_ATTEMPTS="2")
    bench.reached(process)
    for statement in change.split("; "):
        bench.postgres(statement)
    bench.go()
    ended = bench.ended(process)
    wrong = right(bench, ended)
    if not wrong and ended.report["epoch"] != first + 2:
        wrong.append(f"epoch {ended.report['epoch']} behind {first}: not two snapshots")
    bench.fill()
    return wrong


def truncated_after_the_snapshot(bench: Bench, dice: random.Random) -> list[str]:
    """Of all and of some users: neither may take an empty table for one that has none of theirs."""
    before = bench.documents()
    keyed = dice.choice((False, True))
    if keyed:
        arguments, attempts, wanted = ("backfill", "--user", "7"), "1", Wanted(3, ("rewritten",))
    else:
        arguments, attempts, wanted = ("run",), "2", Wanted(5, ("core.b has 0 rows",))
    process = bench.start_halted("open", *arguments, PREFETCH_EXTRACT_ATTEMPTS=attempts)
    bench.reached(process)
    bench.postgres("TRUNCATE b")
    bench.go()
    wrong = stopped(bench, bench.ended(process), wanted, before)
    bench.fill()
    return wrong


def counter(bench: Bench) -> int:
    """The last epoch."""
    return int(bench.client.get("prefetch:rows:epoch") or 0)


@contextmanager
def _standby(bench: Bench) -> Iterator[tuple[psycopg.Connection[Any], PostgresServer]]:
    """A primary with the source's tables (a session on it), and its standby, in step with it."""
    eager = {"max_standby_streaming_delay": "0", "hot_standby_feedback": "off"}
    with ExitStack() as opened:
        quiet = PostgresServer(bench.ground.new_folder("primary"), settings={"autovacuum": "off"})
        primary = opened.enter_context(quiet)
        second = PostgresServer(
            bench.ground.new_folder("standby"), settings=eager, standby_of=primary
        )
        standby = opened.enter_context(second)
        admin = opened.enter_context(psycopg.connect(primary.url, autocommit=True))
        _copy(bench, admin)
        caught_up(admin, standby)
        yield admin, standby


def conflict_on_a_standby(bench: Bench, dice: random.Random) -> list[str]:
    """40001, or a session that is ended for it: all again from new snapshots; not for ever."""
    wrong: list[str] = []
    with _standby(bench) as (admin, standby):
        for attempts, clashes, code in ((3, 1, 0), (2, 2, 3)):
            before, first = bench.documents(), counter(bench)
            process = bench.start_halted(
                "in core.a", most=clashes, ROWS_CORE_URL=standby.url,
                PREFETCH_EXTRACT_ATTEMPTS=str(attempts),
            )  # fmt: skip
            for number in range(1, clashes + 1):
                bench.reached(process, number)
                _clash(admin, standby)
                bench.go(number)
            ended = bench.ended(process)
            if code:
                wrong += stopped(bench, ended, Wanted(code, ("source core",)), before)
                continue
            wrong += right(bench, ended)
            if ended.report.get("epoch") != first + 2:
                wrong.append(f"epoch {ended.report.get('epoch')} behind {first}")
    return wrong


def _clash(admin: psycopg.Connection[Any], standby: PostgresServer) -> None:
    """Removes row versions on the primary that a reader of the standby may still see."""
    admin.execute("UPDATE b SET pad = pad || 'y'")
    admin.execute("VACUUM b")
    # A commit: VACUUM's own log records are not flushed at its end.
    admin.execute("UPDATE client SET name = name WHERE id = 1")
    caught_up(admin, standby)


def _copy(bench: Bench, admin: psycopg.Connection[Any]) -> None:
    """The source's tables in another server."""
    for name in ("client", "a", "b"):
        columns = "id int, name text, pin text, changed timestamptz"
        admin.execute(
            f"CREATE TABLE {name} ({columns if name == 'client' else 'id int, amount int, pad text'})".encode()
        )
        for row in bench.postgres(f"SELECT * FROM {name}"):
            places = ", ".join(["%s"] * len(row))
            admin.execute(f"INSERT INTO {name} VALUES ({places})".encode(), row)


def caught_up(admin: psycopg.Connection[Any], standby: PostgresServer) -> None:
    """Waits until a standby has replayed what its primary has written."""
    (at,) = admin.execute("SELECT pg_current_wal_flush_lsn()").fetchone()  # type: ignore[misc]
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with psycopg.connect(standby.url, autocommit=True) as reader:
            found = reader.execute("SELECT pg_last_wal_replay_lsn() >= %s", (at,)).fetchone()
        if found == (True,):
            return
        time.sleep(0.02)
    raise AssertionError("the standby never caught up")


def standby_far_behind(bench: Bench, dice: random.Random) -> list[str]:
    before = bench.documents()
    bench.configure(core="max_lag_s: 1")
    with _standby(bench) as (admin, standby):
        with psycopg.connect(standby.url, autocommit=True) as replica:
            replica.execute("SELECT pg_wal_replay_pause()")
            admin.execute("UPDATE client SET name = 'newer'")
            time.sleep(1.2)
            ended = bench.run(ROWS_CORE_URL=standby.url)
            wrong = stopped(bench, ended, Wanted(3, ("source core", "max_lag_s")), before)
            replica.execute("SELECT pg_wal_replay_resume()")
        caught_up(admin, standby)
        time.sleep(1.2)  # a primary without work is not behind itself
        ended = bench.run(ROWS_CORE_URL=standby.url)
    bench.configure()
    wrong += right(bench, ended)
    if not wrong and bench.documents()["profile:1"]["identity"]["name"] != "newer":
        wrong.append("the newer name is missing")
    bench.fill()
    return wrong + right(bench, bench.run())


def mariadb_replica_behind(bench: Bench, dice: random.Random) -> list[str]:
    """One that has stopped to follow, and one that is seconds behind."""
    before = bench.documents()
    main = ["--server-id=1", "--log-bin=binary", "--binlog-format=ROW"]
    follower = ["--server-id=2", "--read-only=1"]
    with (
        MariaDBServer(bench.ground.new_folder("main"), extra_args=main) as primary,
        MariaDBServer(bench.ground.new_folder("follower"), extra_args=follower) as replica,
        pymysql.connect(host="127.0.0.1", port=primary.port, user="root", autocommit=True) as admin,
        pymysql.connect(host="127.0.0.1", port=replica.port, user="root", autocommit=True) as other,
    ):
        write, follow = admin.cursor(), other.cursor()
        follow.execute(
            f"CHANGE MASTER TO master_host='127.0.0.1', master_port={primary.port}, "
            "master_user='root', master_use_gtid=slave_pos"
        )
        follow.execute("START SLAVE")
        write.execute(f"CREATE DATABASE {bench.name}")
        write.execute(f"USE {bench.name}")
        for name in "ab":
            write.execute(f"CREATE TABLE {name} (id int, amount int, pad text)")
            write.executemany(
                f"INSERT INTO {name} VALUES (%s, %s, %s)", bench.mysql(f"SELECT * FROM {name}")
            )
        url = f"mysql+pymysql://root@127.0.0.1:{replica.port}/{bench.name}"
        _wait_for(
            follow,
            f"SELECT count(*) FROM information_schema.tables WHERE table_schema = '{bench.name}'",
            2,
        )
        _wait_for(
            follow, f"SELECT count(*) FROM {bench.name}.b", len(bench.mysql("SELECT id FROM b"))
        )
        bench.configure(lending="max_lag_s: 1")
        wrong = right(bench, bench.run(ROWS_LENDING_URL=url))
        before = bench.documents()
        follow.execute("STOP SLAVE SQL_THREAD")
        stopped_words = ("source lending", "its lag is unknown")
        ended = bench.run(ROWS_LENDING_URL=url)
        wrong += stopped(bench, ended, Wanted(3, stopped_words), before)
        follow.execute("STOP SLAVE")
        follow.execute("CHANGE MASTER TO master_delay = 60")
        follow.execute("START SLAVE")
        write.execute("UPDATE a SET pad = 'y' WHERE id = 1")
        time.sleep(2.5)
        ended = bench.run(ROWS_LENDING_URL=url)
        wrong += stopped(bench, ended, Wanted(3, ("source lending", "max_lag_s")), before)
    bench.configure()
    return wrong


def _wait_for(cursor: pymysql.cursors.Cursor, ask: str, wanted: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            cursor.execute(ask)
            if cursor.fetchone() == (wanted,):
                return
        except pymysql.MySQLError:
            pass
        time.sleep(0.05)
    raise AssertionError("the replica never caught up")


class _Member(MongoServer):
    """A second member of a set, which another one has made."""

    def is_ready(self) -> bool:
        try:
            with self._direct() as client:
                return bool(client.admin.command("ping")["ok"])
        except ConnectionFailure:
            return False


def mongodb_secondary_behind(bench: Bench, dice: random.Random) -> list[str]:
    before = bench.documents()
    with (
        MongoServer(bench.ground.new_folder("first"), replica_set="rows") as first,
        _Member(bench.ground.new_folder("second"), replica_set="rows") as second,
        pymongo.MongoClient[object](first.url) as client,
    ):
        config = client.admin.command("replSetGetConfig")["config"]
        late = {
            "_id": 1,
            "host": f"127.0.0.1:{second.port}",
            "priority": 0,
            "hidden": dice.choice((True, False)),
        }
        config["members"].append({**late, "secondaryDelaySecs": 15, "votes": 0})
        config["version"] += 1
        client.admin.command("replSetReconfig", config)
        with bench.mongo() as source:
            for name in "ab":
                client[bench.name][name].insert_many(list(source[name].find()))
        direct = f"mongodb://127.0.0.1:{second.port}/{bench.name}?directConnection=true"
        _until_secondary(direct)
        bench.configure(cards="max_lag_s: 1, connect_timeout_s: 5")
        ended = bench.run(ROWS_CARDS_URL=direct)
        bench.configure()
        return stopped(bench, ended, Wanted(3, ("source cards", "max_lag_s")), before)


def _until_secondary(url: str) -> None:
    until = time.monotonic() + 30
    with pymongo.MongoClient[dict[str, object]](url) as client:
        while time.monotonic() < until:
            hello = client.admin.command("hello")
            if hello.get("secondary"):
                return
            time.sleep(0.1)
    raise AssertionError("it never became a secondary")


def snapshot_too_old(bench: Bench, dice: random.Random) -> list[str]:
    """MongoDB gives an old snapshot up: again with a new one; and not for ever."""
    wrong: list[str] = []
    with (
        MongoServer(bench.ground.new_folder("short")) as server,
        pymongo.MongoClient[object](server.url) as client,
    ):
        client.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 1})
        with bench.mongo() as source:
            for name in "ab":
                client[bench.name][name].insert_many(list(source[name].find()))
        url = server.url.replace("/?", f"/{bench.name}?", 1)
        for attempts, halts, code in ((2, 1, 0), (1, 1, 3)):
            before = bench.documents()
            process = bench.start_halted(
                "in cards.a", most=halts, ROWS_CARDS_URL=url,
                PREFETCH_EXTRACT_ATTEMPTS=str(attempts),
            )  # fmt: skip
            bench.reached(process)
            until = time.monotonic() + 4
            while time.monotonic() < until:
                client[bench.name].other.insert_one({})  # type: ignore[arg-type]
                time.sleep(0.1)
            bench.go()
            ended = bench.ended(process)
            if code:
                wrong += stopped(bench, ended, Wanted(code, ("source cards", "snapshot")), before)
            else:
                wrong += right(bench, ended)
    return wrong


def scan_beside_a_writer_without_snapshots(bench: Bench, dice: random.Random) -> list[str]:
    """A standalone MongoDB: each document once, though an indexed field changes all the while."""
    stop = threading.Event()
    with (
        MongoServer(bench.ground.new_folder("alone"), replica_set=None) as server,
        pymongo.MongoClient[object](server.url) as client,
    ):
        database = client[bench.name]
        with bench.mongo() as source:
            for name in "ab":
                database[name].insert_many(list(source[name].find()))
                database[name].create_index("moving")
        steps = []

        def write() -> None:
            while not stop.is_set():
                database.a.update_many(
                    {}, {"$inc": {"moving": 1}, "$set": {"pad": "z" * dice.randrange(4000)}}
                )
                steps.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            ended = bench.run(ROWS_CARDS_URL=server.url + bench.name)
        finally:
            stop.set()
            writer.join()
        assert len(steps) > 3
    wrong = right(bench, ended)
    if not wrong and ended.report["sources"]["cards"]["consistency"] != "none":
        wrong.append("it says that there was a snapshot")
    if not wrong and ended.report["quarantined"]:
        wrong.append(f"quarantined {ended.report['quarantined']}")
    return wrong
