"""The demo bank: the same for the same seed, skewed, full of messes, and whole in its databases."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import bcrypt
import polars as pl
import psycopg
import pymongo
import pymysql
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from devstack import Stack
from devstack.bank import Book, Servers, load, move_on, servers_of
from devstack.bank.__main__ import main
from devstack.bank.book import Move
from devstack.bank.ends import MESSES
from devstack.bank.expected import expected_of
from devstack.bank.moves import moved_on
from devstack.bank.passwords import POOL, hashes, password
from devstack.bank.planting import MESS
from devstack.bank.state import BLOCK, FIRST_ID, State, opening_state
from devstack.bank.words import CANARY
from devstack.errors import DevstackError

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).resolve().parents[2]
PERSONAL = {
    "customer": ("name", "email", "phone", "street"),
    "purchase": ("merchant",),
    "preferences": ("email",),
    "contact": ("email",),
    "demographics": ("occupation",),
    "wish_item": ("title",),
    "devices": ("name",),
}
DAY = Move(1, 0.05, "2026-02-01T12:00:00+00:00")


@pytest.fixture(scope="module")
def block() -> State:
    return opening_state(7, 0, BLOCK)


# --- the generator


def test_the_same_seed_gives_the_same_rows(block: State) -> None:
    again, other = opening_state(7, 0, 5 * BLOCK), opening_state(8, 0, BLOCK)
    assert block.frames.keys() == again.frames.keys()
    for table, rows in block.frames.items():
        assert rows.equals(again.frames[table]), table
        assert not rows.equals(other.frames[table]), table


def test_blocks_have_customers_of_their_own(block: State) -> None:
    following = opening_state(7, 1, BLOCK + 10)
    ids = following.frames["access"]["customer_id"]
    assert (ids.min(), ids.max(), len(ids)) == (FIRST_ID + BLOCK, FIRST_ID + BLOCK + 9, 10)
    for table, key in (("account", "account_no"), ("card", "card_id"), ("loan", "loan_id")):
        assert not set(following.frames[table][key]) & set(block.frames[table][key])


def test_most_have_little_and_a_few_very_much(block: State) -> None:
    for table in ("account", "card", "purchase", "wish_item", "devices"):
        had = block.frames[table].group_by("_owner").len()["len"].sort(descending=True)
        top = had.head(BLOCK // 100).sum()
        assert had.median() <= 4, table
        assert had.max() >= 10 * had.median(), table
        assert top > 3 * had.sum() * (BLOCK // 100) / len(had) / 2, table


def test_every_personal_text_has_the_canary(block: State) -> None:
    for table, columns in PERSONAL.items():
        for column in columns:
            texts = block.frames[table][column].drop_nulls().str.to_lowercase()
            assert len(texts)
            assert texts.str.contains(CANARY.lower(), literal=True).all(), (table, column)


def test_every_kind_of_mess_is_planted(block: State) -> None:
    for table, kinds in MESSES.items():
        here = set(block.frames[table][MESS].drop_nulls())
        # What was dropped is not there to be seen; the users it holds are.
        assert {mess.kind for mess in kinds if mess.how != "drop"} <= here, table
    held = Counter(expected_of(block.frames).held.values())
    assert held["core.login: missing"] and held["core.access: missing"]
    assert held["core.customer: duplicate"] and held["core.login: unknown_hash_scheme"]


@pytest.mark.parametrize("users", [300, 3_000, BLOCK])
def test_no_dataset_comes_near_the_guard(users: int) -> None:
    state = opening_state(3, 0, users)
    for _ in range(2):
        for name, ends in expected_of(state.frames).datasets.items():
            bad = ends.quarantined.total() - ends.quarantined["user_held"]
            assert bad <= 0.0095 * (ends.rows + ends.copies), (name, ends.quarantined)
        state = moved_on(state, 3, 0, DAY).after


def test_every_row_is_accounted_for(block: State) -> None:
    for name, ends in expected_of(block.frames).datasets.items():
        out = ends.placed + ends.reference + ends.filtered.total() + ends.quarantined.total()
        assert ends.rows + ends.copies == out, name
        listed = {reason: len(keys) for reason, keys in ends.keys.items()}
        assert listed == {r: n for r, n in ends.quarantined.items() if r != "user_held"}, name


def test_the_pool_holds_real_hashes_of_the_passwords() -> None:
    pool = hashes(7)
    assert len(set(pool)) == POOL and pool == hashes(7) and pool != hashes(8)
    for entry, made in enumerate(pool):
        if made.startswith("$argon2id$"):
            assert PasswordHasher().verify(made, password(entry))
        else:
            assert bcrypt.checkpw(password(entry).encode(), made.encode())
            assert made.startswith("$2b$04$")
    assert {made[:4] for made in pool} == {"$arg", "$2b$"}


def test_logins_keep_the_rule_of_passwords(block: State) -> None:
    rows = block.frames["login"].filter(pl.col(MESS).is_null())
    for customer, made in rows.select("customer_id", "password_hash").head(500).iter_rows():
        assert made == hashes(7)[customer % POOL]


# --- the next day


def test_a_day_is_the_same_for_the_same_seed(block: State) -> None:
    first, again = moved_on(block, 7, 0, DAY), moved_on(block, 7, 0, DAY)
    assert first.moved == again.moved
    for table, rows in first.after.frames.items():
        assert rows.equals(again.after.frames[table]), table


def test_a_day_changes_the_share_asked_for(block: State) -> None:
    made = moved_on(block, 7, 0, DAY).moved
    everyone = len(made.updated | made.created | made.departed | made.newly_held)
    assert 0.045 * BLOCK < everyone < 0.056 * BLOCK
    assert all(made.changed.values()) and made.created and made.departed and made.newly_held
    assert not made.updated & (made.created | made.departed | made.newly_held)
    few = moved_on(block, 7, 0, Move(1, 0.01, DAY.at)).moved
    assert 0.008 * BLOCK < len(few.updated) < 0.012 * BLOCK


def test_only_what_no_cursor_tells_is_unseen(block: State) -> None:
    """Seen are just the users of whom some row bears the time of the day."""
    made = moved_on(block, 7, 0, DAY)
    at = DAY.moment.replace(tzinfo=None)
    bearing = {
        owner
        for rows in made.after.frames.values()
        if "updated_at" in rows.columns
        for owner in rows.filter(pl.col("updated_at") == at)["_owner"]
    }
    with_profile = set(expected_of(made.after.frames).users)
    joint = made.moved.changed["balance"]  # led to by an account that another one owns
    assert made.moved.seen - joint == (bearing & with_profile) - joint
    unseen = made.moved.updated - made.moved.seen
    silent = ("account moved", "card reference moved", "purchase deleted", "loan deleted",
              "device removed")  # fmt: skip
    assert unseen and unseen <= set().union(*(made.moved.changed[kind] for kind in silent))


# --- in the databases


def _counts(servers: Servers) -> dict[str, int]:
    found: dict[str, int] = {}
    for source in ("core", "cards", "lending"):
        engine = sa.create_engine(
            servers.urls[source].replace("postgresql:", "postgresql+psycopg:")
        )
        with engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                found[table] = connection.exec_driver_sql(
                    f"SELECT count(*) FROM {table}"
                ).scalar_one()
        engine.dispose()
    with pymongo.MongoClient[Any](servers.urls["engagement"]) as client:
        database = client.get_default_database()
        for name in database.list_collection_names():
            found[name] = database[name].count_documents({})
    return found


@pytest.fixture(params=["mariadb", "sqlite"])
def environ(stack: Stack, request: pytest.FixtureRequest) -> dict[str, str]:
    given = stack.environ()
    if request.param == "sqlite":
        del given["PREFETCH_DEV_MARIADB_URL"]
    return given


def test_load_and_move_on_write_all_rows(environ: dict[str, str], tmp_path: Path) -> None:
    servers = servers_of(environ, tmp_path, prefix="rows")
    load(servers, Book(users=50, seed=1, prefix="rows"), tmp_path)
    load(servers, Book(users=600, seed=2, prefix="rows"), tmp_path)  # in place of the first
    state = opening_state(2, 0, 600)
    for _ in range(2):
        found = _counts(servers)
        found.pop("role")
        assert found == {t: r.height for t, r in state.frames.items() if t != "wish_item"}
        told = json.loads((tmp_path / "planted.json").read_text())
        expected = expected_of(state.frames)
        assert told["users_with_profile"] == len(expected.users)
        assert {int(user) for user in told["held"]} == set(expected.held)
        moved = move_on(servers, tmp_path, at=DAY.moment)
        made = moved_on(state, 2, 0, Move(told["day"] + 1, 0.05, DAY.at))
        assert moved == made.moved
        state = made.after
    assert (tmp_path / "planted.json").stat().st_mode & 0o777 == 0o600


def test_the_awkward_values_are_in_the_databases(stack: Stack, tmp_path: Path) -> None:
    servers = servers_of(stack.environ(), tmp_path, prefix="odd")
    load(servers, Book(users=4_000, seed=1, prefix="odd"), tmp_path)
    with psycopg.connect(servers.urls["core"]) as core:
        core.execute("SET datestyle = ISO")
        dates = core.execute("SELECT birth_date::text FROM customer").fetchall()
        assert {("infinity",), ("0044-03-15 BC",), ("10000-01-01",)} <= set(dates)
        balances = {text for (text,) in core.execute("SELECT balance::text FROM account")}
        assert {"NaN", "1" * 40, "12345678901234567.89"} <= balances
        names = [name for (name,) in core.execute("SELECT name FROM customer")]
        for piece in ("\r\n", "\x1b[31m", "</script>", "👩‍🚀", "שרה", '"', "\ufeff"):
            assert any(piece in name for name in names), piece
        assert max(map(len, names)) > 10_000
    url = sa.engine.make_url(servers.urls["lending"])
    with (
        pymysql.connect(
            host=url.host, port=url.port, user="root", database=url.database
        ) as lending,
        lending.cursor() as cursor,
    ):
        cursor.execute("SELECT CAST(due_on AS CHAR) FROM schedule")
        assert ("0000-00-00",) in cursor.fetchall()
    with pymongo.MongoClient[Any](servers.urls["engagement"]) as client:
        contact = client.get_default_database()["contact"]
        types = {
            d["t"] for d in contact.aggregate([{"$project": {"t": {"$type": "$customer_no"}}}])
        }
        assert types == {"string", "double", "long", "missing"}


def test_one_customer_is_found_by_indexes(environ: dict[str, str], tmp_path: Path) -> None:
    servers = servers_of(environ, tmp_path, prefix="index")
    load(servers, Book(users=400, seed=1, prefix="index"), tmp_path)
    asked = {
        "core": {
            "customer": ("customer_id = 1", "lower(email) = 'x'", "updated_at > now()"),
            "login": ("customer_id = 1",), "access": ("customer_id = 1",),
            "customer_role": ("customer_id = 1",), "feature": ("customer_id = 1",),
            "account": ("account_no = '1'", "updated_at > now()"),
            "account_holder": ("account_no = '1'", "customer_id = 1"),
        },
        "cards": {
            "card_holder": ("holder_ref = 'x'", "customer_id = 1"),
            "card": ("holder_ref = 'x'", "card_id = 'x'"),
            "purchase": ("holder_ref = 'x'", "updated_at > now()"),
        },
    }  # fmt: skip
    for source, tables in asked.items():
        with psycopg.connect(servers.urls[source]) as connection:
            connection.execute("SET enable_seqscan = off")
            for table, conditions in tables.items():
                for condition in conditions:
                    plan = connection.execute(f"EXPLAIN SELECT * FROM {table} WHERE {condition}")
                    assert any("Index" in line for (line,) in plan), (table, condition)
    engine = sa.create_engine(servers.urls["lending"])
    with engine.connect() as lending:
        indexed = {
            (table, index["column_names"][0])
            for table in ("loan", "schedule")
            for index in sa.inspect(lending).get_indexes(table)
        }
    engine.dispose()
    assert {("loan", "loan_id"), ("loan", "account_no"), ("schedule", "loan_id")} <= indexed
    with pymongo.MongoClient[Any](servers.urls["engagement"]) as client:
        database = client.get_default_database()
        loose = {"locale": "en", "strength": 2, "alternate": "shifted"}
        for name in database.list_collection_names():
            # The keys of this line are trimmed, so their case and white space do not count.
            key = "email" if name == "preferences" else "customer_no"
            found = database[name].find({key: "1"}).collation(loose).explain()
            plan = found["queryPlanner"]["winningPlan"]
            assert "IXSCAN" in json.dumps(plan, default=str), name


# --- from a shell


def test_the_command_loads_and_moves_on(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    folder = ("--folder", str(tmp_path))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "devstack.bank", "load", "--users", "300", "--seed", "4"]
    done = subprocess.run(
        [*command, "--prefix", "shell", *folder],
        cwd=ROOT, env={**kept, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert lines == servers_of(environ, tmp_path, prefix="shell").lines
    assert "300 of 300 customers made" in done.stderr

    _as_named(environ, monkeypatch)
    assert main(["move-on", "--day", "2", *folder]) == 1
    assert "the next one is --day 1" in capfd.readouterr().err
    assert main(["move-on", "--day", "1", "--share", "0.1", *folder]) == 0
    told = json.loads((tmp_path / "planted.json").read_text())
    assert told["day"] == 1 and len(told["moved"]["updated"]) > 15
    said = capfd.readouterr()
    assert "profiles change" in said.err
    assert CANARY not in done.stderr + done.stdout + said.err + said.out


def _as_named(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PREFETCH_DEV_")]:
        monkeypatch.delenv(name)
    for name, url in environ.items():
        monkeypatch.setenv(name, url)


def test_errors_name_the_way_out(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    folder = ("--folder", str(tmp_path))
    named = stack.environ()
    away = {**named, "PREFETCH_DEV_POSTGRES_URL": "postgresql://postgres@127.0.0.1:1/x"}
    for environ, arguments, wanted in (
        ({}, ("load", "--users", "10"), "PREFETCH_DEV_POSTGRES_URL"),
        (named, ("move-on", "--day", "1"), "'load' first"),
        (named, ("load", "--users", "0"), "--users"),
        (away, ("load", "--users", "10"), "connection"),
    ):
        _as_named(environ, monkeypatch)
        assert main([*arguments, *folder]) == 1
        said = capfd.readouterr()
        assert wanted in said.err and "Traceback" not in said.err and not said.out
    assert not (tmp_path / "planted.json").exists()


def test_urls_keep_who_logs_in(tmp_path: Path) -> None:
    environ = {
        "PREFETCH_DEV_POSTGRES_URL": "postgresql://u:p@h/db?sslmode=require",
        "PREFETCH_DEV_MONGODB_URL": "mongodb://u:p%40@h1,h2/admin?replicaSet=r",
    }
    urls = servers_of(environ, tmp_path).urls
    assert urls["core"] == "postgresql://u:p@h/demo_core?sslmode=require"
    mongo = "mongodb://u:p%40@h1,h2/demo_engagement?replicaSet=r&authSource=admin"
    assert urls["engagement"] == mongo
    assert urls["lending"] == f"sqlite:///{tmp_path}/demo_lending.sqlite"
    assert "p%40" not in repr(servers_of(environ, tmp_path))
    with pytest.raises(DevstackError, match="MongoDB"):
        servers_of({**environ, "PREFETCH_DEV_MONGODB_URL": "nonsense"}, tmp_path)


def test_a_sqlite_file_is_made_anew(stack: Stack, tmp_path: Path) -> None:
    environ = stack.environ()
    del environ["PREFETCH_DEV_MARIADB_URL"]
    servers = servers_of(environ, tmp_path, prefix="file")
    for _ in range(2):
        load(servers, Book(users=20, seed=1, prefix="file"), tmp_path)
    with sqlite3.connect(tmp_path / "file_lending.sqlite") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM loan").fetchone()
    connection.close()
    assert rows == opening_state(1, 0, 20).frames["loan"].height
