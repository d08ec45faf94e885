"""Quarantine: counted, listed and kept alike; shown masked; replayed once the rows are mended."""

from __future__ import annotations

import hmac
import json
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from conftest import ROOT, child_environ
from oracle import documents
from small_bank import FOUND, MESSES, SmallBank

from core.errors import ConfigError, GuardStopped
from core.selection import Selection
from devstack import RedisServer, Stack
from devstack.bank import Book, load, servers_of
from flows.command_line import main
from tests.forked import Forks

Run = Callable[..., dict[str, Any]]
DEADLINE_S = 120
DEMO = ROOT / "examples/demo_bank/pipeline.yaml"
HASH_KEY = "a key for these tests"
PRIMARY_KEYS = {
    "core.login": ("customer_id",),
    "core.account": ("account_no",),
    "lending.loan": ("loan_id",),
    "lending.schedule": ("loan_id", "instalment"),
    "cards.card": ("card_id",),
    "cards.spending": ("purchase_id",),
    "cards.recent": ("purchase_id",),
    "engagement.contact": ("_id",),
    "engagement.preferences": ("_id",),
}
"""Datasets whose planted keys are those of their primary key."""


@pytest.fixture
def bank(
    stack: Stack, tmp_path: Path, run: Run, target: RedisServer, request: pytest.FixtureRequest
) -> SmallBank:
    made = SmallBank(stack, tmp_path, f"q{abs(hash(request.node.name)) % 10**9}", run, target)
    made.sql(MESSES)
    return made


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "stage" / "quarantine").glob("*.jsonl"))


def _read(path: Path) -> tuple[dict[str, Any], list[Any]]:
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return head, rows


def _groups(told: list[dict[str, Any]]) -> dict[tuple[str, str, str, str], int]:
    return {(g["what"], g["dataset"], g["reason"], g["column"]): g["rows"] for g in told}


def _hash(text: str) -> str:
    return hmac.digest(HASH_KEY.encode(), text.encode(), "sha256").hex()[:16]


def _prefetch(bank: SmallBank, *arguments: str) -> Result:
    called = ["quarantine", *arguments, "--config", str(bank.config)]
    return CliRunner().invoke(main, called, env={**bank.environ, "PREFETCH_HASH_KEY": HASH_KEY})


def _audit(bank: SmallBank) -> list[dict[str, Any]]:
    with redis.Redis.from_url(bank.target.url) as client:
        return [json.loads(line) for line in client.lrange("prefetch:small:audit", 0, -1)]


def test_the_demo_bank_row_by_row(
    stack: Stack, tmp_path: Path, run: Run, target: RedisServer
) -> None:
    servers = servers_of(stack.environ(), tmp_path, prefix="quarantine")
    load(servers, Book(users=2000, seed=5, prefix="quarantine"), tmp_path)
    planted = json.loads((tmp_path / "planted.json").read_text(encoding="utf-8"))
    report = run(DEMO, servers.lines, PREFETCH_HASH_KEY=HASH_KEY)
    (path,) = _files(tmp_path)
    head, rows = _read(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    groups = head["groups"]
    assert _groups(groups) == _groups(report["quarantine"])
    counted: dict[str, Counter[str]] = {name: Counter() for name in planted["datasets"]}
    for group in groups:
        if group["what"] == "row":
            why = f"{group['reason']} ({group['column']})" if group["column"] else group["reason"]
            counted[group["dataset"]][why] += group["rows"]
    assert counted == {name: ends["quarantined"] for name, ends in planted["datasets"].items()}
    assert counted == {name: ends["quarantined"] for name, ends in report["datasets"].items()}
    assert [group["kept"] for group in groups] == [group["rows"] for group in groups]
    assert Counter(group for group, _, _ in rows) == Counter(
        {place: group["rows"] for place, group in enumerate(groups)}
    )
    assert report["quarantine_file"]["rows"] == report["quarantine_file"]["kept"] == len(rows)

    held = {user: groups[g]["reason"] for g, user, _ in rows if groups[g]["what"] == "held"}
    assert held == planted["held"]
    compared = 0
    for name, columns in PRIMARY_KEYS.items():
        found: dict[str, list[str]] = {}
        for place, _, keys in rows:
            group = groups[place]
            if group["dataset"] == name and group["reason"] != "user_held":
                why = group["reason"] + (f" ({group['column']})" if group["column"] else "")
                key = "/".join(keys[column] or "" for column in columns)
                found.setdefault(why, []).append(key)
        assert {why: sorted(keys) for why, keys in found.items()} == planted["datasets"][name][
            "keys"
        ], name
        compared += sum(map(len, found.values()))
    assert compared > 50

    by_group: dict[int, list[str | None]] = {}
    for place, user, keys in rows:
        named = ",".join(f"{column}={value}" for column, value in keys.items() if value is not None)
        by_group.setdefault(place, []).append(_hash(user or named) if user or named else None)
    for place, group in enumerate(report["quarantine"]):
        assert group["shown"] == by_group[place][:20]
    told = json.dumps(report)
    assert not [user for user in planted["held"] if user in told]
    assert planted["canary"] not in told


def test_mended_rows_come_in_by_a_replay(bank: SmallBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.keyed._CHUNK_BYTES", 1)  # each row in a chunk of its own
    first = bank.run()
    assert _groups(first["quarantine"]) == FOUND
    assert first["created"] == 39
    before = documents(bank.target.url)
    bank.sql(
        """
        INSERT INTO holder VALUES ('B1', 1), ('B1', 2);
        UPDATE account SET account_no = 'A3' WHERE id = 102;
        UPDATE account SET since = '2020-02-29' WHERE id = 104;
        UPDATE visit SET client_id = 6 WHERE id = 101;
        UPDATE login SET locked = 'true' WHERE client_id = 5;
        UPDATE client SET name = 'changed, too' WHERE client_id = 30;
        """
    )
    report = bank.run("backfill", select=Selection(quarantine=first["run"][:12]))
    assert report["replayed"] == {
        "run": first["run"],
        "rows": 11,
        "lost": [
            {"dataset": "core.account", "reason": "no_link", "column": "holder", "rows": 1},
            {"dataset": "core.flag", "reason": "no_user_id", "column": "client_id", "rows": 1},
        ],
        "untold": 0,
    }
    assert (report["quarantine"], report["quarantine_file"]) == ([], None)
    assert (report["created"], report["updated"], report["selection"]) == (
        1,
        5,
        f"quarantine of {first['run'][:8]}",
    )
    after = documents(bank.target.url)
    changed = {
        user
        for user in after
        if after[user].get("accounts") != before.get(user, {}).get("accounts")
    }
    assert changed == {"1", "2", "3", "4", "5"}
    assert [a["id"] for a in after["2"]["accounts"]] == [2, 101]
    assert [a["id"] for a in after["3"]["accounts"]] == [3, 102]
    assert [v["id"] for v in after["6"]["visits"]] == [6, 101]
    assert after["5"]["auth"] == {"locked": True}
    assert after["30"] == before["30"], "the flag of nobody is not everybody's"


def test_what_is_still_bad_stays_in_quarantine(bank: SmallBank) -> None:
    first = bank.run()
    report = bank.run("backfill", select=Selection(quarantine=first["run"]))
    lost = {(g["dataset"], g["reason"]): g["rows"] for g in report["replayed"]["lost"]}
    assert lost == {
        ("core.account", "no_link"): 2,
        ("core.account", "no_link_key"): 1,
        ("core.flag", "no_user_id"): 1,
    }
    nowhere = {k: n for k, n in FOUND.items() if (k[1], k[2]) not in lost}
    assert _groups(report["quarantine"]) == nowhere
    assert (report["created"], report["updated"]) == (0, 0)
    with pytest.raises(ConfigError, match="no run whose name begins with 'nothing'"):
        bank.run("backfill", select=Selection(quarantine="nothing"))


def test_the_guard_stops_and_the_list_is_there(bank: SmallBank) -> None:
    text = bank.config.read_text(encoding="utf-8").replace("_share: 1}", "_share: 0.01}")
    bank.config.write_text(text, encoding="utf-8")
    with pytest.raises(GuardStopped) as stopped:
        bank.run()
    report: Any = stopped.value.report
    (path,) = _files(bank.folder)
    assert _groups(_read(path)[0]["groups"]) == _groups(report["quarantine"]) == FOUND


def test_a_user_who_can_not_be_written_is_listed_apart(bank: SmallBank) -> None:
    with redis.Redis.from_url(bank.target.url) as client:
        client.set("profile:7", "something else")
        report = bank.run()
    assert _groups(report["quarantine"]) == FOUND | {("unwritten", "", "wrong_type", ""): 1}
    assert report["quarantined"]["wrong_type"] == 1
    head, rows = _read(*_files(bank.folder))
    assert [u for g, u, _ in rows if head["groups"][g]["what"] == "unwritten"] == ["7"]


def test_few_are_kept_for_a_while(bank: SmallBank) -> None:
    once = {"PREFETCH_QUARANTINE_ROWS": "1", "PREFETCH_QUARANTINE_DAYS": "1e-9"}
    first = bank.run(environ=once)
    (path,) = _files(bank.folder)
    head, rows = _read(path)
    assert [(g["rows"], g["kept"]) for g in head["groups"] if g["reason"] == "no_link"] == [(2, 1)]
    assert (first["quarantine_file"]["rows"], first["quarantine_file"]["kept"]) == (12, 11)
    assert len(rows) == 11
    shown = [len(g["shown"]) for g in first["quarantine"] if g["reason"] == "no_link"]
    assert shown == [2]
    planned = bank.run(dry_run=True, environ={"PREFETCH_QUARANTINE_DAYS": "1"})
    assert _groups(planned["quarantine"]) == FOUND
    assert _files(bank.folder) == []


def test_the_commands(bank: SmallBank, prefect_url: str, forks: Forks) -> None:
    first = bank.run()
    listed = _prefetch(bank, "list", "--json")
    (file,) = json.loads(listed.stdout)
    assert (file["run"], file["rows"], _groups(file["groups"])) == (first["run"], 12, FOUND)

    masked = _prefetch(bank, "show", "--json")
    shown = json.loads(masked.stdout)["shown"]
    assert len(shown) == 12
    assert not [row for row in shown if "keys" in row or "user" in row]
    assert Counter(row["hash"] for row in shown)[_hash("5")] == 6
    assert _hash("id=101,account_no=B1") in {row["hash"] for row in shown}
    assert _audit(bank) == []

    unmasked = _prefetch(bank, "show", "--unmask", "--by", "the auditor", "--json")
    rows = json.loads(unmasked.stdout)["shown"]
    assert {"id": "101", "account_no": "B1"} in [row["keys"] for row in rows]
    assert [r["user"] for r in rows if r["what"] == "held"] == ["5"]
    assert "audit: " in unmasked.stderr
    (line,) = _audit(bank)
    assert (line["who"], line["what"]) == ("the auditor", "quarantine show --unmask")
    assert (line["run"], line["rows"]) == (first["run"], 12)

    for_people = _prefetch(bank, "show", "--run", first["run"][:8], "--unmask")
    assert "account_no=B1" in for_people.stdout
    assert "12 in all" in for_people.stdout
    none = _prefetch(bank, "show", "--run", "zzz")
    assert none.exit_code == 2
    assert "no run whose name begins with 'zzz'" in none.stderr

    bank.sql("INSERT INTO holder VALUES ('B1', 1), ('B3', 1)")
    told = ["quarantine", "replay", "--config", str(bank.config)]
    environ = child_environ(**bank.environ, PREFECT_API_URL=prefect_url)
    with forks.prefetch(*told, env=environ) as child:
        replayed = child.ended(DEADLINE_S)
    assert replayed.returncode == 0, replayed.stderr
    assert "11 rows of the quarantine of run" in replayed.stdout
    assert "2 still lead to no user" in replayed.stdout
    accounts = documents(bank.target.url)["1"]["accounts"]
    assert [account["id"] for account in accounts] == [1, 101, 103]
