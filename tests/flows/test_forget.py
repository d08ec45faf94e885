"""Forget: a user is gone from Redis, quarantine and dead stages, and no run brings him back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from oracle import documents
from small_bank import MESSES, SmallBank

from core.acceptance import Acceptance
from core.errors import ConfigError, Corrupt, PrefetchError, StageError, TargetUnfit
from core.selection import Selection
from core.settings import load_settings
from devstack import RedisServer, Stack
from flows import opening
from flows.command_line import main
from flows.forgetting import Forgotten, forget, lift_him, user_of
from stage.folder import open_stage

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def bank(
    stack: Stack, tmp_path: Path, run: Run, target: RedisServer, request: pytest.FixtureRequest
) -> SmallBank:
    return SmallBank(stack, tmp_path, f"f{abs(hash(request.node.name)) % 10**9}", run, target)


def _forget(bank: SmallBank, user: str, wait_s: float = 5.0) -> Forgotten:
    plan, _ = opening.load_plan(bank.config)
    return forget(plan, load_settings(), user_of(plan, user), wait_s)


def _lift(bank: SmallBank, user: str) -> None:
    plan, _ = opening.load_plan(bank.config)
    lift_him(plan, load_settings(), user)


def _there(bank: SmallBank, *users: str) -> list[str]:
    """Which documents of some users there are."""
    keys = [f"{kind}:{user}" for user in users for kind in ("profile", "credential")]
    with redis.Redis.from_url(bank.target.url) as client:
        return [key for key in keys if client.exists(key)]


def _prefetch(bank: SmallBank, *arguments: str) -> Result:
    called = [*arguments, "--config", str(bank.config)]
    return CliRunner().invoke(main, called, env=bank.environ)


def test_no_run_brings_him_back(bank: SmallBank) -> None:
    bank.sql("INSERT INTO holder VALUES ('A7', 8)")
    bank.run()
    before = documents(bank.target.url)
    assert (before["7"]["accounts"], len(before)) == (before["8"]["accounts"][:1], 40)
    done = _forget(bank, "7")
    assert (done.profiles, done.quarantined, done.stages) == (1, 0, 0)
    assert not _there(bank, "7")
    rest = {user: document for user, document in before.items() if user != "7"}

    def nobody_came_back(report: dict[str, Any]) -> None:
        assert report["status"] in ("success", "planned")
        assert not _there(bank, "7")
        found = documents(bank.target.url)
        assert {u: d["accounts"] for u, d in found.items()} == {
            u: d["accounts"] for u, d in rest.items()
        }

    report = bank.run()
    nobody_came_back(report)
    filtered = {
        name: ends["filtered"].get("suppressed") for name, ends in report["datasets"].items()
    }
    assert filtered == {
        "core.client": 1,
        "core.login": 1,
        "core.account": 1,
        "core.visit": 1,
        "core.flag": 1,
        "core.holder": None,
    }
    assert (report["quarantined"], report["removed"], report["unchanged"]) == ({}, 0, 39)
    by_name = bank.run("backfill", select=Selection(users=("7", "8")))
    nobody_came_back(by_name)
    assert by_name["datasets"]["core.client"]["filtered"] == {"suppressed": 1}
    nobody_came_back(bank.run("backfill", select=Selection(link="holder", link_keys=("A7",))))
    nobody_came_back(bank.run("backfill", select=Selection(source="core")))
    nobody_came_back(bank.run("backfill", select=Selection(buckets=tuple(range(16)))))
    bank.sql("UPDATE client SET updated_at = now() WHERE client_id IN (7, 8)")
    nobody_came_back(bank.run("incremental"))
    verified = bank.run("verify")
    assert (verified["findings"], verified["behind"]) == ({}, {})

    _lift(bank, "7")
    assert bank.run("backfill", select=Selection(users=("7",)))["created"] == 1
    assert documents(bank.target.url)["7"]["accounts"] == before["7"]["accounts"]
    with pytest.raises(PrefetchError, match="was not forgotten"):
        _lift(bank, "7")


def test_no_list_holds_his_id(bank: SmallBank) -> None:
    bank.run()
    _forget(bank, "33")
    bank.run()
    with redis.Redis.from_url(bank.target.url, decode_responses=True) as client:
        control = {
            key for key in client.scan_iter(match="prefetch:*") if client.type(key) == "hash"
        }
        assert "prefetch:small:suppressed" in control
        for key in control:
            assert "33" not in client.hkeys(key), key
        assert client.hlen("prefetch:small:suppressed") == 2


def test_a_document_that_came_back_is_corrupt_and_removed(bank: SmallBank) -> None:
    bank.run()
    with redis.Redis.from_url(bank.target.url) as client:
        texts = {key: client.execute_command("JSON.GET", key) for key in ("profile:7", "profile:9")}
        for user in ("7", "9"):
            _forget(bank, user)

        def put_back() -> None:
            for key, text in texts.items():
                client.execute_command("JSON.SET", key, "$", text)

        put_back()
        with pytest.raises(Corrupt) as corrupt:
            bank.run("verify")
        assert corrupt.value.findings == {"extra": 2}
        repaired = bank.run("verify", repair=True)
        assert repaired["findings"] == {"extra": 2}
        assert not _there(bank, "7", "9")
        put_back()
        assert bank.run()["removed"] == 2
        assert not _there(bank, "7", "9")
        put_back()
        assert bank.run("backfill", select=Selection(users=("7", "9")))["removed"] == 2
        assert not _there(bank, "7", "9")


@pytest.mark.parametrize("moment", ["settle_all", "check_buckets"])
def test_a_run_that_began_before(
    bank: SmallBank, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgotten between its extraction and its load, or between its load and its check."""
    from flows import checking, settling

    bank.sql(MESSES)
    bank.run()
    bank.sql("UPDATE client SET name = 'changed'")
    module: Any = settling if moment == "settle_all" else checking
    original, told = getattr(module, moment), []

    def meanwhile(*args: Any) -> Any:
        if not told:
            for user in ("7", "5"):
                with pytest.raises(StageError) as still:
                    _forget(bank, user, wait_s=0)
                told.append(str(still.value))
        return original(*args)

    monkeypatch.setattr(module, moment, meanwhile)
    report = bank.run()
    assert "may hold rows of this user until their runs end" in told[0]
    assert report["status"] == "success"
    assert not _there(bank, "5", "7")
    assert len(documents(bank.target.url)) == 38
    for path in (bank.folder / "stage/quarantine").glob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        assert rows
        assert not [row for row in rows if row[1] == "5"]
    assert _forget(bank, "5").quarantined == 0
    assert bank.run()["unchanged"] == 38


def test_quarantine_and_stages(bank: SmallBank) -> None:
    bank.sql(MESSES)
    bank.run()
    (path,) = (bank.folder / "stage/quarantine").glob("*.jsonl")
    dead = bank.folder / "stage" / "stage-dead"
    dead.mkdir()
    (dead / "rows.arrow").write_bytes(b"rows")
    done = _forget(bank, "5")
    assert (done.profiles, done.quarantined, done.stages) == (0, 6, 1)
    assert not dead.exists()
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert len(rows) == sum(group["kept"] for group in head["groups"]) == 6
    assert sum(group["rows"] for group in head["groups"]) == 12
    assert not [row for row in rows if row[1] == "5"]

    with open_stage(bank.folder / "stage", "alive", 4) as alive:
        with pytest.raises(StageError, match="stage-alive in"):
            _forget(bank, "6", wait_s=0.1)
        assert alive.folder.exists()
    assert not _there(bank, "6")
    assert _forget(bank, "6").profiles == 0


def test_what_can_not_be_forgotten_so(bank: SmallBank) -> None:
    bank.run()
    with pytest.raises(ConfigError) as wrong:
        _forget(bank, "seven-canary")
    assert "canary" not in str(wrong.value)
    with redis.Redis.from_url(bank.target.url) as client:
        client.delete("profile:7")
        client.set("profile:7", "x")
        with pytest.raises(TargetUnfit, match="delete it by hand"):
            _forget(bank, "7")
        client.delete("profile:7")
    assert _forget(bank, "7").profiles == 1, "his credential was still there"
    assert not _there(bank, "7")
    assert _forget(bank, "4711").profiles == 0


def test_another_hash_key_is_refused(bank: SmallBank) -> None:
    bank.run()
    _forget(bank, "7")
    other = {"PREFETCH_HASH_KEY": "another"}
    with pytest.raises(TargetUnfit, match="another PREFETCH_HASH_KEY"):
        bank.run(environ=other)
    assert not _there(bank, "7")
    bank.run(environ={"PREFETCH_HASH_KEY": ""})
    _lift(bank, "7")
    bank.run(environ=other)
    assert "7" in documents(bank.target.url)


def test_the_commands_and_the_audit(bank: SmallBank) -> None:
    bank.run()
    shown = _prefetch(bank, "show", "7", "--unmask", "--by", "Ann")
    assert json.loads(shown.stdout)["identity"]["name"] == "name of 7"
    assert "show --unmask: who='Ann' user='" in shown.stderr
    assert "name of 7" not in _prefetch(bank, "show", "7").stdout

    done = _prefetch(bank, "forget", "7", "--why", "asked on paper", "--json")
    told = json.loads(done.stdout)
    assert (told["forgotten"], told["profiles"]) == (True, 1)
    assert _prefetch(bank, "show", "7").exit_code == 1
    bank.sql("DELETE FROM visit WHERE id > 3")
    accept = Acceptance(guards=("rows",), by="Eve", why="moved away")
    report = bank.run(accept=accept)
    assert report["accepted"]
    bank.run(accept=accept, dry_run=True)
    undone = _prefetch(bank, "forget", "7", "--undo", "--by", "Ann")
    assert "loads his profile again" in undone.stdout
    assert _prefetch(bank, "forget", "7", "--undo").exit_code == 1

    lines = json.loads(_prefetch(bank, "audit", "--json").stdout)
    assert [line["what"] for line in lines] == [
        "forget --undo",
        "forget --undo",
        "guards accepted",
        "forget",
        "show --unmask",
    ]
    accepted, forgotten, unmasked = lines[2:]
    assert (accepted["who"], accepted["why"], accepted["epoch"]) == (
        "Eve",
        "moved away",
        report["epoch"],
    )
    assert accepted["found"] == report["accepted"]
    assert forgotten["why"] == "asked on paper"
    assert unmasked["who"] == "Ann"
    assert unmasked["user"] == forgotten["user"] == told["user"] != "7"
    for_people = _prefetch(bank, "audit", "-n", "1").stdout
    assert for_people.startswith("audit: ")
    assert len(for_people.splitlines()) == 1


def test_nothing_is_unmasked_where_the_audit_can_not_be_kept(bank: SmallBank) -> None:
    bank.run()
    with redis.Redis.from_url(bank.target.url) as client:
        client.set("prefetch:small:audit", "not a list")
    shown = _prefetch(bank, "show", "7", "--unmask")
    assert (shown.exit_code, shown.stdout) == (4, "")
