"""Rows 56 to 59: grants that are missing, secrets that change, columns that come, go and change."""

from __future__ import annotations

import json
import random

import redis

from tests.faults.source_rows.bench import SOURCES, Bench, Wanted, right, stopped
from tests.faults.source_rows.down import kill

CANARY = "canary-078-05-1120"


def denied_column(bench: Bench, dice: random.Random) -> list[str]:
    """A grant on all columns but one."""
    source, before = dice.choice(("core", "lending")), bench.documents()
    user = f"part_{bench.name}"
    columns, more = ("id", "amount", "pad"), dice.choice(("amount", "pad"))
    given = ", ".join(column for column in columns if column != more)
    if source == "core":
        bench.postgres(
            f"DROP OWNED BY {user}" if _has_role(bench, user) else "SELECT 1",
            f"DROP ROLE IF EXISTS {user}",
            f"CREATE ROLE {user} LOGIN",
            f"GRANT SELECT ON client, b TO {user}",
            f"GRANT SELECT ({given}) ON a TO {user}",
        )
        url = {"ROWS_CORE_URL": bench.urls["ROWS_CORE_URL"].replace("postgres@", f"{user}@")}
    else:
        bench.mysql(
            f"CREATE OR REPLACE USER {user}@'127.0.0.1'",
            f"GRANT SELECT ON {bench.name}.b TO {user}@'127.0.0.1'",
            f"GRANT SELECT ({given}) ON {bench.name}.a TO {user}@'127.0.0.1'",
        )
        url = {"ROWS_LENDING_URL": bench.urls["ROWS_LENDING_URL"].replace("root@", f"{user}@")}
    ended = bench.run(**url)
    wrong = stopped(bench, ended, Wanted(3, (f"source {source}", f"{source}.a")), before)
    if "extract" in ended.report.get("steps", {}):
        wrong.append("it was found only after preflight")
    return wrong


def _has_role(bench: Bench, user: str) -> bool:
    return bool(bench.postgres(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'"))


def secret_changed_in_mid_run(bench: Bench, dice: random.Random) -> list[str]:
    """The file with the secret is read once more; where it is still the old one, the run fails."""
    before, wrong = bench.documents(), []
    user, file = f"rotated_{bench.name}", bench.folder / "lending.url"

    def url(password: str) -> str:
        return bench.urls["ROWS_LENDING_URL"].replace("root@", f"{user}:{password}@")

    for is_new in (False, True):
        bench.mysql(
            f"CREATE OR REPLACE USER {user}@'127.0.0.1' IDENTIFIED BY 'first'",
            f"GRANT SELECT ON {bench.name}.* TO {user}@'127.0.0.1'",
        )
        file.write_text(url("first"))
        file.chmod(0o600)
        process = bench.start_halted(
            "in lending.a", PREFETCH_EXTRACT_ATTEMPTS="3",
            ROWS_LENDING_URL="", ROWS_LENDING_URL_FILE=str(file),
        )  # fmt: skip
        bench.reached(process)
        bench.mysql(f"ALTER USER {user}@'127.0.0.1' IDENTIFIED BY 'second'")
        kill(bench, "lending")
        if is_new:
            file.write_text(url("second"))
        bench.go()
        ended = bench.ended(process)
        if is_new:
            wrong += right(bench, ended)
        else:
            wanted = Wanted(3, ("source lending", "wrong user or password"))
            wrong += stopped(bench, ended, wanted, before)
        told = json.dumps(ended.report) + ended.errors
        wrong += [
            f"the password {word!r} is shown" for word in (":first@", ":second@") if word in told
        ]
    return wrong


def column_gone(bench: Bench, dice: random.Random) -> list[str]:
    """Dropped or renamed: refused before the first row, by its name."""
    source, before = dice.choice(("core", "lending")), bench.documents()
    run = bench.postgres if source == "core" else bench.mysql
    change = dice.choice(("DROP COLUMN amount", "RENAME COLUMN amount TO sum"))
    run(f"ALTER TABLE a {change}")
    ended = bench.run()
    wrong = stopped(
        bench, ended, Wanted(3, (f"source {source}", "table a has no column amount")), before
    )
    bench.fill()
    return wrong


def column_gone_in_mid_run(bench: Bench, dice: random.Random) -> list[str]:
    """After preflight has looked."""
    source, before = dice.choice(("core", "lending")), bench.documents()
    run = bench.postgres if source == "core" else bench.mysql
    process = bench.start_halted("open")
    bench.reached(process)
    run("ALTER TABLE b DROP COLUMN amount")
    bench.go()
    wrong = stopped(
        bench, bench.ended(process), Wanted(3, (f"source {source}", f"{source}.b")), before
    )
    bench.fill()
    return wrong


def column_of_another_type(bench: Bench, dice: random.Random) -> list[str]:
    """What fits is cast; what does not is in quarantine, and the guard stops the run."""
    source, before = dice.choice(SOURCES), bench.documents()
    bad = dice.choice((False, True))
    value = "a lot" if bad else "500"
    if source == "core":
        bench.postgres("ALTER TABLE a ALTER amount TYPE text", f"UPDATE a SET amount = '{value}'")
    elif source == "lending":
        bench.mysql("ALTER TABLE a MODIFY amount varchar(99)", f"UPDATE a SET amount = '{value}'")
    else:
        with bench.mongo() as database:
            database.a.update_many({}, {"$set": {"amount": value}})
    ended = bench.run()
    if bad:
        wrong = stopped(
            bench, ended, Wanted(5, (f"{source}.a", "can't be used", "(amount)")), before
        )
        wrong += ["a value is shown"] * (value in json.dumps(ended.report))
    else:
        wrong = right(bench, ended)
    bench.fill()
    return wrong


def new_column(bench: Bench, dice: random.Random) -> list[str]:
    source = dice.choice(SOURCES)
    if source == "core":
        bench.postgres(f"ALTER TABLE a ADD ssn text DEFAULT '{CANARY}'")
    elif source == "lending":
        bench.mysql(f"ALTER TABLE a ADD ssn text DEFAULT '{CANARY}'")
    else:
        with bench.mongo() as database:
            database.a.update_many({}, {"$set": {"ssn": CANARY, "more": {"ssn": CANARY}}})
    ended = bench.run()
    wrong = right(bench, ended)
    told = [json.dumps(ended.report), ended.errors, json.dumps(bench.documents())]
    with redis.Redis.from_url(bench.redis.url) as client:
        for key in client.scan_iter(count=1000):
            if client.type(key) == b"string":
                told.append(str(client.get(key)))
            elif client.type(key) == b"list":
                told.append(str(client.lrange(key, 0, -1)))
            elif client.type(key) == b"hash":
                told.append(str(client.hgetall(key)))
    bench.fill()
    return wrong + ["the new column is somewhere"] * any(CANARY in text for text in told)
