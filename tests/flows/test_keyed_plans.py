"""One user's backfill: the sources' own plans tell that no whole table is read for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pytest
import sqlalchemy as sa
from conftest import ROOT

from benchmarks.query_plans import Access, watched
from core.selection import Selection
from devstack import Stack
from devstack.bank import Book, Servers, load, servers_of

Run = Callable[..., dict[str, Any]]
CONFIG = ROOT / "examples/demo_bank/pipeline.yaml"
USERS = 3_000
BIG = 300
"""Rows of a table that is not read whole for one user."""

ASKED = {
    ("core", "customer"),
    ("core", "login"),
    ("core", "access"),
    ("core", "customer_role"),
    ("core", "feature"),
    ("core", "account"),
    ("core", "account_holder"),
    ("lending", "loan"),
    ("lending", "schedule"),
    ("cards", "card_holder"),
    ("cards", "card"),
    ("cards", "purchase"),
    ("engagement", "contact"),
    ("engagement", "preferences"),
    ("engagement", "wish_list"),
    ("engagement", "devices"),
    ("engagement", "demographics"),
    ("engagement", "portfolio"),
}


@pytest.fixture
def servers(stack: Stack, tmp_path: Path) -> Servers:
    made = servers_of(stack.environ(), tmp_path, prefix="plans")
    load(made, Book(users=USERS, seed=29, prefix="plans"), tmp_path)
    with sa.create_engine(made.urls["lending"], poolclass=sa.NullPool).connect() as lending:
        for table in ("loan", "schedule"):
            lending.exec_driver_sql(f"ANALYZE TABLE {table}").fetchall()
    return made


def _core(servers: Servers) -> psycopg.Connection[Any]:
    return psycopg.connect(servers.urls["core"].replace("+psycopg", ""), autocommit=True)


def _with_everything(servers: Servers) -> str:
    """A user with a card, a purchase, and a loan on an account that another one shares."""
    cards = servers.urls["cards"].replace("+psycopg", "")
    with psycopg.connect(cards) as connection:
        buyers = connection.execute(
            "SELECT array_agg(customer_id) FROM card_holder JOIN purchase USING (holder_ref)"
        ).fetchone()
    with sa.create_engine(servers.urls["lending"], poolclass=sa.NullPool).connect() as lending:
        lent = [row[0] for row in lending.exec_driver_sql("SELECT account_no FROM loan")]
    with _core(servers) as core:
        found = core.execute(
            "SELECT min(a.customer_id) FROM account_holder a JOIN account_holder b "
            "USING (account_no) JOIN login l ON l.customer_id = a.customer_id "
            "JOIN customer c ON c.customer_id = a.customer_id AND c.email IS NOT NULL "
            "WHERE a.role = 'OWNER' AND b.customer_id <> a.customer_id "
            "AND a.account_no = ANY(%s) AND a.customer_id = ANY(%s)",
            (lent, (buyers or [[]])[0]),
        ).fetchone()
    assert found is not None
    assert found[0] is not None
    return str(found[0])


def _whole(found: list[Access]) -> set[tuple[str, str]]:
    return {(each.source, each.table) for each in found if each.whole and each.rows > BIG}


def test_one_user_reads_no_whole_table(servers: Servers, stack: Stack, run: Run) -> None:
    user = Selection(users=(_with_everything(servers),))
    run(CONFIG, servers.lines)
    log = stack.servers["postgres"].log

    with watched(servers, log) as found:
        report = run(CONFIG, servers.lines, "backfill", {"select": user})
    assert (report["users"], report["unchanged"]) == (1, 1)
    assert {(each.source, each.table) for each in found} == ASKED
    assert _whole(found) == set()

    # Without these indexes the watch must see what it is there for.
    with _core(servers) as core:
        core.execute("DROP INDEX customer_1")
    with sa.create_engine(servers.urls["lending"], poolclass=sa.NullPool).connect() as lending:
        lending.exec_driver_sql("DROP INDEX schedule_0 ON schedule")
    with pymongo.MongoClient[dict[str, Any]](servers.urls["engagement"]) as client:
        client.get_default_database()["devices"].drop_index("customer_no_1")
    with watched(servers, log) as found:
        run(CONFIG, servers.lines, "backfill", {"select": user})
    assert _whole(found) == {
        ("core", "customer"),
        ("lending", "schedule"),
        ("engagement", "devices"),
    }
