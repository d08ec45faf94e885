"""Rows 53 and 54: statements and locks that take too long, and readers that are slow."""

from __future__ import annotations

import random
import time

import psycopg
import pymysql

from tests.faults.source_rows.bench import Bench, Wanted, right, stopped


def locked_table(bench: Bench, dice: random.Random) -> list[str]:
    source, before = dice.choice(("core", "lending")), bench.documents()
    bench.configure(**{source: "lock_timeout_s: 1"})
    if source == "core":
        with psycopg.connect(bench.urls["ROWS_CORE_URL"]) as other:
            other.execute("LOCK TABLE b")
            ended = bench.run()
    else:
        with pymysql.connect(
            host="127.0.0.1", port=bench.servers.mariadb.port, user="root", database=bench.name
        ) as other:
            other.cursor().execute("LOCK TABLES b WRITE")
            ended = bench.run()
    bench.configure()
    return stopped(bench, ended, Wanted(3, (f"source {source}", f"{source}.b")), before)


SLOW_VIEWS = {
    "core": "CREATE VIEW slow AS SELECT id, amount, pad || pg_sleep(0.2)::text AS pad FROM b",
    "lending": "CREATE VIEW slow AS SELECT id, amount + sleep(0.2) AS amount, pad FROM b",
}


def slow_statement(bench: Bench, dice: random.Random) -> list[str]:
    source, before = dice.choice(("core", "lending", "cards")), bench.documents()
    if source == "core":
        bench.postgres(
            SLOW_VIEWS[source], "ALTER TABLE b RENAME TO kept", "ALTER VIEW slow RENAME TO b"
        )
    elif source == "lending":
        bench.mysql(
            "RENAME TABLE b TO kept",
            SLOW_VIEWS[source].replace("FROM b", "FROM kept").replace("slow", "b"),
        )
    else:
        with bench.mongo() as database:
            database.b.rename("kept")
            body = "function(x) { sleep(200); return x }"
            slow = {"$function": {"body": body, "args": ["$amount"], "lang": "js"}}
            database.create_collection("b", viewOn="kept", pipeline=[{"$set": {"amount": slow}}])
    bench.configure(**{source: "statement_timeout_s: 1"})
    started = time.monotonic()
    ended = bench.run()
    took = time.monotonic() - started
    bench.configure()
    wrong = stopped(bench, ended, Wanted(3, (f"source {source}", f"{source}.b")), before)
    if took > 20:
        wrong.append(f"{source}: it took {took:.0f} s to give up")
    if source == "core":
        bench.postgres("DROP VIEW b", "ALTER TABLE kept RENAME TO b")
    elif source == "lending":
        bench.mysql("DROP VIEW b", "RENAME TABLE kept TO b")
    else:
        with bench.mongo() as database:
            database.drop_collection("b")
            database.kept.rename("b")
    return wrong


def slow_reader(bench: Bench, dice: random.Random) -> list[str]:
    """The server would give a slow or idle reader up after a second; ours it must not."""
    source = dice.choice(("core", "lending"))
    place = dice.choice((f"in {source}.a", "open"))
    if source == "core":
        bench.postgres(
            f"ALTER DATABASE {bench.name} SET idle_in_transaction_session_timeout = '1s'",
            f"ALTER DATABASE {bench.name} SET transaction_timeout = '2s'",
        )
    else:
        bench.mysql(
            *(
                f"SET GLOBAL {name} = 1"
                for name in ("net_write_timeout", "wait_timeout", "idle_transaction_timeout")
            )
        )
    try:
        process = bench.start_halted(place)
        bench.reached(process)
        time.sleep(2.5)
        bench.go()
        ended = bench.ended(process)
    finally:
        if source == "core":
            bench.postgres(f"ALTER DATABASE {bench.name} RESET ALL")
        else:
            bench.mysql(
                "SET GLOBAL net_write_timeout = 60",
                "SET GLOBAL wait_timeout = 28800",
                "SET GLOBAL idle_transaction_timeout = 0",
            )
    return right(bench, ended)
