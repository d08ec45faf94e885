"""A data engineer's day on the demo bank: plan, backfill, incremental, verify, sweep, guards."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from conftest import ROOT, child_environ
from oracle import documents, without_epoch

from core.acceptance import Acceptance
from core.errors import ConfigError, Corrupt, GuardStopped
from core.selection import Selection
from devstack import RedisServer, Stack
from devstack.bank import Book, Servers, load, move_on, servers_of
from tests.forked import Forks

Run = Callable[..., dict[str, Any]]
CONFIG = ROOT / "examples/demo_bank/pipeline.yaml"
USERS = int(os.environ.get("PREFETCH_TEST_USERS", "1600"))
DEADLINE_S = 120
ALL_MAY_LEAVE = Acceptance(removals=USERS, by="test", why="tried")


class Bank:
    """A demo bank of its own, and the flows run over it."""

    def __init__(self, servers: Servers, folder: Path, run: Run, target: RedisServer) -> None:
        self.servers, self.folder, self._run, self.target = servers, folder, run, target
        self.client = redis.Redis.from_url(target.url)

    def run(self, flow: str = "nightly", url: str | None = None, **given: Any) -> dict[str, Any]:
        more = {"REDIS_URL": url or self.target.url}
        return self._run(CONFIG, self.servers.lines, flow, given, **more)

    def backfill(self, url: str | None = None, **selection: Any) -> dict[str, Any]:
        return self.run("backfill", url, select=Selection(**selection), accept=ALL_MAY_LEAVE)

    def move_on(self) -> dict[str, Any]:
        move_on(self.servers, self.folder)
        found: dict[str, Any] = json.loads((self.folder / "planted.json").read_text())["moved"]
        return found

    def documents(self, url: str | None = None) -> dict[str, dict[str, Any]]:
        """Profiles and credentials, without the epochs."""
        at = url or self.target.url
        return {
            **without_epoch(documents(at)),
            **{
                f"credential {u}": d for u, d in without_epoch(documents(at, "credential:")).items()
            },
        }

    def core(self) -> psycopg.Connection[Any]:
        url = self.servers.lines["DEMO_CORE_URL"].replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True)


@pytest.fixture
def bank(
    stack: Stack, tmp_path: Path, run: Run, target: RedisServer, request: pytest.FixtureRequest
) -> Iterator[Bank]:
    prefix = f"d{abs(hash(request.node.name)) % 10**8}"
    servers = servers_of(stack.environ(), tmp_path, prefix=prefix)
    load(servers, Book(users=USERS, seed=23, prefix=prefix), tmp_path)
    yield Bank(servers, tmp_path, run, target)


def test_three_ways_end_in_the_same_redis(bank: Bank, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "second").start() as second,
        RedisServer(tmp_path / "third").start() as third,
    ):
        for server in (bank.target, second, third):
            bank.run(url=server.url)
        moved = bank.move_on()
        before = bank.documents()

        planned = bank.run(dry_run=True, show_diffs=3)
        assert planned["status"] == "planned"
        assert bank.documents() == before
        assert 0 < len(planned["diffs"]) <= 3
        done = bank.run()
        for figure in ("created", "updated", "unchanged", "held", "quarantined", "datasets"):
            assert planned[figure] == done[figure], figure
        assert planned["leaving"] == done["removed"] == len(moved["departed"]) > 0
        assert (done["created"], done["updated"]) == (len(moved["created"]), len(moved["updated"]))
        whole = bank.documents()
        assert not {str(user) for user in moved["departed"]} & whole.keys()
        again = bank.run()
        assert (again["created"], again["updated"], again["removed"]) == (0, 0, 0)
        verified = bank.run("verify")
        assert (verified["findings"], verified["behind"]) == ({}, {})

        named = [*moved["updated"], *moved["created"], *moved["departed"], *moved["newly_held"]]
        by_name = bank.backfill(second.url, users=tuple(map(str, named)))
        assert (by_name["updated"], by_name["removed"]) == (done["updated"], done["removed"])
        assert bank.documents(second.url) == whole

        changed = bank.run("incremental", third.url)
        assert changed["created"] == len(moved["created"])
        found = bank.documents(third.url)
        differing = {
            u.split()[-1] for u in whole.keys() | found.keys() if whole.get(u) != found.get(u)
        }
        blind = {*moved["unseen"], *moved["departed"], *moved["newly_held"]}
        assert differing <= {str(user) for user in blind}
        assert changed["unseen"] == [
            "rows deleted in a source",
            "the former user of a link that moved",
            "changes in datasets without a cursor: core.account_holder",
        ]


def test_selections(bank: Bank) -> None:
    with pytest.raises(ConfigError, match=r"no complete run has read"):
        bank.run("incremental")
    first = bank.run()
    whole = bank.documents()
    with bank.core() as core:
        holders = core.execute(
            "SELECT min(account_no), array_agg(customer_id::text ORDER BY customer_id) "
            "FROM account_holder WHERE customer_id IN (SELECT customer_id FROM login) "
            "GROUP BY account_no HAVING count(*) = 2 ORDER BY 1 LIMIT 1"
        ).fetchone()
    assert holders is not None
    account, users = holders

    bank.client.delete(*(f"profile:{user}" for user in users))
    report = bank.backfill(link="account_holder", link_keys=(account,))
    assert (report["users"], report["created"], report["selection"]) == (
        2,
        2,
        "1 key of account_holder",
    )
    assert bank.documents() == whole

    buckets = [int(bank.client.get(f"prefetch:demo_bank:floor:{b}") or 0) for b in range(64)]
    assert set(buckets) == {first["epoch"]}
    bank.client.execute_command("DEL", *bank.client.keys("credential:*"))
    report = bank.backfill(buckets=(3, 4))
    assert report["updated"] == report["users"] == report["checked"] // 2 > 0
    floors = [int(bank.client.get(f"prefetch:demo_bank:floor:{b}") or 0) for b in range(64)]
    assert {b for b, floor in enumerate(floors) if floor == report["epoch"]} == {3, 4}
    report = bank.backfill(source="core", url=None)
    assert bank.documents() == whole

    report = bank.backfill(source="cards")
    with_cards = {
        u for u, d in documents(bank.target.url).items() if d["cards"] or d["recent_purchases"]
    }
    assert report["users"] >= len(with_cards) > 0
    assert report["unchanged"] == report["users"] < USERS
    report = bank.backfill(changed_since=datetime.now(UTC) + timedelta(days=1))
    assert report["users"] == 0
    file = bank.folder / "ids.txt"
    file.write_text("\n".join(users) + "\n")
    assert bank.backfill(users_file=file)["users"] == 2

    for bad in (
        {"users": ("x",)},
        {"link": "nowhere", "link_keys": ("1",)},
        {"source": "x"},
        {"buckets": (64,)},
    ):
        with pytest.raises(ConfigError, match="selection: "):
            bank.backfill(**bad)
    assert bank.documents() == whole


def test_many_users_are_read_in_one_scan_with_the_same_result(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.run()
    whole = bank.documents()
    users = tuple(documents(bank.target.url))[:500]
    bank.client.delete(*(f"profile:{user}" for user in users))
    monkeypatch.setenv("PREFETCH_KEYED_USERS", "100")
    report = bank.backfill(users=users)
    assert (report["created"], report["users"]) == (500, 500)
    assert report["datasets"]["core.customer"]["rows"] > 0.96 * USERS
    assert bank.documents() == whole


def test_a_late_commit_is_picked_up_within_the_lag(bank: Bank) -> None:
    bank.run()
    user = next(iter(documents(bank.target.url)))
    with bank.core() as core, bank.core() as late:
        late.autocommit = False
        late.execute(
            "UPDATE customer SET city = 'Late', updated_at = now() WHERE customer_id = %s", (user,)
        )
        core.execute(
            "UPDATE customer SET city = 'Soon', updated_at = now() WHERE customer_id = %s",
            (next(u for u in documents(bank.target.url) if u != user),),
        )
        bank.run("incremental")
        assert documents(bank.target.url)[user]["identity"]["address"]["city"] != "Late"
        late.commit()
    bank.run("incremental")
    assert documents(bank.target.url)[user]["identity"]["address"]["city"] == "Late"


def test_newer_data_of_a_backfill_stay_when_an_older_run_goes_on(
    bank: Bank, prefect_url: str, monkeypatch: pytest.MonkeyPatch, forks: Forks
) -> None:
    from flows import loading

    environ = child_environ(
        **bank.servers.lines,
        REDIS_URL=bank.target.url,
        PREFECT_API_URL=prefect_url,
        PREFETCH_STAGE_DIR=str(bank.folder / "other"),
    )
    bank.run()
    user = sorted(documents(bank.target.url))[7]
    load_buckets, paused, alone = loading.load_buckets, [], threading.Lock()

    def pausing(*args: Any) -> Any:
        with alone:  # the other groups of buckets wait, too
            if not paused:
                paused.append(True)
                with bank.core() as core:
                    core.execute(
                        "UPDATE customer SET city = 'Newer', updated_at = now() WHERE customer_id = %s",
                        (user,),
                    )
                told = ["backfill", "--user", user, "--json", "--config", str(CONFIG)]
                with forks.prefetch(*told, env=environ) as child:
                    report = json.loads(child.ended(DEADLINE_S).stdout.splitlines()[-1])
                assert report["updated"] == 1
        return load_buckets(*args)

    monkeypatch.setattr(loading, "load_buckets", pausing)
    with bank.core() as core:
        core.execute("UPDATE customer SET city = 'Older' WHERE customer_id = %s", (user,))
    report = bank.run()
    assert paused
    assert report["superseded"] == 1
    assert documents(bank.target.url)[user]["identity"]["address"]["city"] == "Newer"


def test_verify_finds_and_repairs_planted_corruptions(bank: Bank) -> None:
    bank.run()
    whole, client = bank.documents(), bank.client
    users = sorted(documents(bank.target.url))
    random.Random(5).shuffle(users)
    take = iter(users)

    def some(number: int) -> list[str]:
        return [next(take) for _ in range(number)]

    for user in some(200):
        client.execute_command("DEL", f"profile:{user}")
    for user in some(200):
        client.execute_command("JSON.SET", f"profile:{user}", "$.identity.name", '"edited"')
    for user in some(100):
        client.execute_command("JSON.SET", f"credential:{user}", "$.auth.password_hash", '"x"')
    for user in some(200):
        client.expire(f"profile:{user}", 10_000)
    body = client.execute_command("JSON.GET", f"profile:{users[-1]}")
    for pair in zip(some(50), some(50), strict=True):
        texts = [client.execute_command("JSON.GET", f"profile:{user}") for user in pair]
        for user, text in zip(pair, reversed(texts), strict=True):
            client.execute_command("JSON.SET", f"profile:{user}", "$", text)
    for extra in range(200):
        client.execute_command("JSON.SET", f"profile:{10**9 + extra}", "$", body)

    with pytest.raises(Corrupt) as caught:
        bank.run("verify")
    findings = {"missing": 200, "damaged": 300, "ttl": 200, "foreign": 300, "extra": 200}
    assert caught.value.findings == findings
    assert caught.value.report is not None
    repaired = bank.run("verify", repair=True)
    assert (repaired["status"], repaired["findings"]) == ("success", findings)
    assert bank.documents() == whole
    assert all(client.ttl(key) == -1 for key in client.keys("profile:*"))
    clean = bank.run("verify")
    assert (clean["findings"], clean["behind"]) == ({}, {})
    assert bank.run("verify", sample=50)["checked"] > 0


def test_verify_tells_behind_from_corrupt(bank: Bank) -> None:
    bank.run()
    moved = bank.move_on()
    report = bank.run("verify")
    assert report["findings"] == {}
    assert report["behind"] == {
        "changed": len(moved["updated"]) + len(moved["newly_held"]),
        "departed": len(moved["departed"]),
        "new": len(moved["created"]),
    }
    assert report["behind_s"]["core"] > 0
    bank.run("verify", repair=True)
    assert bank.run("verify")["behind"] == {}


def test_guards_hold_a_run_before_its_first_write(bank: Bank) -> None:
    bank.run()
    before = bank.documents()
    with bank.core() as core:
        core.execute("CREATE TABLE kept AS SELECT * FROM customer")
        core.execute("DELETE FROM customer WHERE customer_id % 3 = 0")
    with pytest.raises(GuardStopped, match=r"of 1,?\d+ users in Redis would be removed") as caught:
        bank.run(accept=Acceptance(guards=("quarantined", "rows")))
    assert bank.documents() == before
    leaving = int(str(caught.value).split("--accept-removals ")[1].split()[0])
    with pytest.raises(GuardStopped):
        bank.run(accept=Acceptance(removals=leaving - 1, guards=("quarantined",)))
    assert bank.documents() == before
    accept = Acceptance(removals=leaving, guards=("quarantined",), by="someone", why="a merger")
    report = bank.run(accept=accept)
    assert report["removed"] == leaving > 0.3 * USERS
    assert (report["accepted_by"], report["accepted_why"]) == ("someone", "a merger")
    assert any("would be removed" in text for text in report["accepted"])

    with bank.core() as core:
        core.execute("DELETE FROM feature WHERE customer_id % 10 <> 0")
    with pytest.raises(GuardStopped, match=r"core\.feature has \d+ rows, the last good runs had"):
        bank.run(accept=Acceptance(guards=("quarantined",)))
    bank.run(accept=Acceptance(guards=("quarantined", "rows")))

    with bank.core() as core:
        core.execute("UPDATE customer SET language = 'xx'")
    with pytest.raises(GuardStopped, match=r"about 100% of the documents would change"):
        bank.run(accept=Acceptance(guards=("quarantined",)))
    changed = bank.run(accept=Acceptance(guards=("quarantined", "changed")))
    assert changed["updated"] == changed["users"]


def test_a_user_who_is_back_is_spared(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import leavers

    bank.run()
    user, other = sorted(documents(bank.target.url))[3:5]
    with bank.core() as core:
        core.execute("CREATE TABLE gone AS SELECT * FROM customer WHERE customer_id = %s", (user,))
        core.execute("DELETE FROM customer WHERE customer_id = ANY(%s)", ([user, other],))
    sweep = leavers.sweep

    def back(*args: Any) -> Any:
        with bank.core() as core:
            core.execute("INSERT INTO customer SELECT * FROM gone")
        return sweep(*args)

    monkeypatch.setattr(leavers, "sweep", back)
    report = bank.run()
    assert (report["leaving"], report["removed"], report["spared"]) == (2, 1, 1)
    assert len(report["removed_users"]) == 1
    assert other not in json.dumps(report["removed_users"])
    found = documents(bank.target.url)
    assert user in found
    assert other not in found


def test_an_emptied_anchor_removes_nobody(bank: Bank) -> None:
    bank.run()
    before = bank.documents()
    with bank.core() as core:
        core.execute("TRUNCATE customer")
    for start in (bank.run, lambda: bank.backfill(users=("1", "2"))):
        with pytest.raises(
            GuardStopped, match=r"core\.customer has (0|no) rows.*missing is not empty"
        ):
            start()
    assert bank.documents() == before


def test_verify_finds_and_repairs_what_is_not_indexed(bank: Bank) -> None:
    bank.run()
    indexes = [name.decode() for name in bank.client.execute_command("FT._LIST")]
    for name in indexes:
        bank.client.execute_command("FT.DROPINDEX", name)
    users = len(documents(bank.target.url))
    with pytest.raises(Corrupt) as caught:
        bank.run("verify")
    assert caught.value.findings == {"not_indexed": users}
    bank.run("verify", repair=True)
    assert bank.run("verify")["findings"] == {}
