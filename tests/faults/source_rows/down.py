"""Rows 43 to 47 and 55: sources that are down, end early, are empty, or take no connection."""

from __future__ import annotations

import random
import threading
import time

from devstack.ports import PortLease
from tests.faults.proxy import Fault, Proxy
from tests.faults.source_rows.bench import SOURCES, Bench, Wanted, right, stopped
from tests.faults.source_rows.databases import USERS

PORTS = {"core": "postgres", "lending": "mariadb", "cards": "mongodb"}
REPLIES = {"core": (3_000, 300_000), "lending": (3_000, 300_000), "cards": (3_000, 250_000)}
"""Between which bytes of a source's replies a read is cut."""


def _variable(source: str) -> str:
    return f"ROWS_{source.upper()}_URL"


def _through(bench: Bench, source: str, port: int) -> dict[str, str]:
    """The variable of a source at another port."""
    url = bench.urls[_variable(source)]
    old = url.rpartition("@")[2].partition("/")[0] if "@" in url else url.split("/")[2]
    # A driver that asks the replica set would go to the server itself.
    direct = url.replace(old, f"127.0.0.1:{port}").replace(
        "replicaSet=rs0", "directConnection=true"
    )
    return {_variable(source): direct}


def _port(bench: Bench, source: str) -> int:
    url = bench.urls[_variable(source)]
    place = url.rpartition("@")[2] if "@" in url else url.split("//")[1]
    return int(place.partition("/")[0].rpartition(":")[2])


def down_at_the_start(bench: Bench, dice: random.Random) -> list[str]:
    source, before = dice.choice(SOURCES), bench.documents()
    lease = PortLease()
    port = int(lease.port)
    lease.release()
    bench.configure(**{source: "connect_timeout_s: 1"})
    ended = bench.run(**_through(bench, source, port))
    bench.configure()
    return stopped(bench, ended, Wanted(3, (f"source {source}",)), before)


def cut_in_mid_scan(bench: Bench, dice: random.Random) -> list[str]:
    """The link ends behind some byte, each way; for MongoDB that is its cursor's end, too."""
    source, before = dice.choice(SOURCES), bench.documents()
    with Proxy(_port(bench, source)) as proxy:
        at = dice.randrange(*REPLIES[source])
        fault = proxy.arm(Fault("cut", "reply", at))
        ended = bench.run(**_through(bench, source, proxy.port))
        assert fault is not None and fault.struck.is_set(), f"byte {at} of {source} never passed"
        if source == "cards" and ended.success:
            wrong = right(bench, ended)  # the driver asks for a first batch once more by itself
        else:
            wrong = stopped(bench, ended, Wanted(3, (f"source {source}",)), before)
        # The next attempt of the same run finds the source well again.
        again = proxy.arm(Fault("cut", "reply", at))
        outlived = bench.run(PREFETCH_EXTRACT_ATTEMPTS="2", **_through(bench, source, proxy.port))
        assert again is not None and again.struck.is_set()
        # In preflight there is one attempt.
        early = outlived.code == 3 and "preflight" in outlived.report.get("steps", {})
        early = early and "extract" not in outlived.report["steps"]
    return wrong + ([] if early else right(bench, outlived))


def killed_in_mid_scan(bench: Bench, dice: random.Random) -> list[str]:
    source, before = dice.choice(("core", "lending")), bench.documents()
    process = bench.start_halted(f"in {source}.a")
    bench.reached(process)
    kill(bench, source)
    bench.go()
    # What had arrived is no whole table; the next one, or the rest of this one, can't be read.
    return stopped(bench, bench.ended(process), Wanted(3, (f"source {source}",)), before)


def kill(bench: Bench, source: str) -> None:
    """Ends the connection that reads a source."""
    if source == "core":
        ends = bench.postgres(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'profile-prefetch'"
        )
    else:
        ends = bench.mysql(
            "SELECT id FROM information_schema.processlist WHERE id <> connection_id() "
            f"AND db = '{bench.name}'"
        )
        for (identity,) in ends:
            bench.mysql(f"KILL {identity}")
    assert len(ends) == 1, f"{len(ends)} readers of {source}"


def rows_are_gone(bench: Bench, dice: random.Random) -> list[str]:
    """All rows of a table, or more than half of them."""
    source, before = dice.choice(SOURCES), bench.documents()
    keep = dice.choice((0, USERS // 3))
    if source == "core":
        bench.postgres(f"DELETE FROM a WHERE id > {keep}")
    elif source == "lending":
        bench.mysql(f"DELETE FROM a WHERE id > {keep}")
    else:
        with bench.mongo() as database:
            database.a.delete_many({"id": {"$gt": keep}})
    ended = bench.run()
    wrong = stopped(bench, ended, Wanted(5, (f"source {source}", f"{source}.a")), before)
    bench.fill()
    return wrong


def one_of_three_is_away(bench: Bench, dice: random.Random) -> list[str]:
    """Carried forward: the sections keep their values, nobody leaves, the run is not complete."""
    source, before = dice.choice(("lending", "cards")), bench.documents(epochs=False)
    bench.configure(**{source: "on_failure: carry_forward, connect_timeout_s: 1"})
    bench.run()  # since when the values stand
    bench.postgres("DELETE FROM client WHERE id = 1", "UPDATE client SET name = 'new' WHERE id = 2")
    ended = bench.run(**_through(bench, source, 1))
    after, wrong = bench.documents(epochs=False), []
    if not ended.success or ended.report["complete"] or list(ended.report["carried"]) != [source]:
        wrong.append(f"not carried: {ended.code} {ended.report.get('error')}")
    if after.keys() != before.keys():
        wrong.append("somebody left")
    for key, document in after.items():
        if key.startswith("profile:") and key != "profile:1":
            sections = (f"{source}_a", f"{source}_b")
            if any(document[name] != before[key][name] for name in sections):
                wrong.append(f"{key}: its sections changed")
            if list(document["_meta"].get("stale", {})) != [source]:
                wrong.append(f"{key}: not marked")
    if after["profile:2"]["identity"]["name"] != "new":
        wrong.append("the other sources were not loaded")
    bench.configure()
    bench.fill()
    return wrong + right(bench, bench.run())


def no_connection_left(bench: Bench, dice: random.Random) -> list[str]:
    source, before = dice.choice(("core", "lending")), bench.documents()
    user, url = f"few_{bench.name}", bench.urls[_variable(source)]
    if source == "core":
        bench.postgres(
            f"DROP ROLE IF EXISTS {user}",
            f"CREATE ROLE {user} LOGIN SUPERUSER CONNECTION LIMIT 0",
        )
        # The limit of a role does not hold for superusers, that of the database neither.
        bench.postgres(f"ALTER ROLE {user} NOSUPERUSER", f"GRANT pg_read_all_data TO {user}")
        environ = {_variable(source): url.replace("postgres@", f"{user}@")}
        free = f"ALTER ROLE {user} CONNECTION LIMIT 5"
    else:
        bench.mysql(
            f"CREATE OR REPLACE USER {user}@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1",
            f"GRANT SELECT ON {bench.name}.* TO {user}@'127.0.0.1'",
        )
        environ = {_variable(source): url.replace("root@", f"{user}@")}
        free = ""
    if source == "core":
        wrong = stopped(bench, bench.run(**environ), Wanted(3, ("no connection left",)), before)
        bench.postgres(free)
        return wrong + right(bench, bench.run(**environ))
    return wrong_of_mariadb(bench, user, environ, before)


def wrong_of_mariadb(bench: Bench, user: str, environ: dict[str, str], before: object) -> list[str]:
    import pymysql

    taken = pymysql.connect(host="127.0.0.1", port=bench.servers.mariadb.port, user=user)
    wrong = stopped(bench, bench.run(**environ), Wanted(3, ("source lending",)), before)
    timer = threading.Timer(1.0, taken.close)
    timer.start()
    time.sleep(1.2)
    return wrong + right(bench, bench.run(**environ))
