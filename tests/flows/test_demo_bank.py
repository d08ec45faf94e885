"""The demo bank through the flow: every figure of the report, and every profile, as planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from oracle import documents

from devstack import RedisServer, Stack
from devstack.bank import Book, Servers, load, move_on, servers_of
from devstack.bank.book import load_book
from devstack.bank.expected import expected_of
from devstack.bank.moves import state_on
from devstack.bank.profiles import profile_of
from devstack.bank.words import CANARY

Run = Callable[..., dict[str, Any]]
Documents = dict[str, dict[str, Any]]

CONFIG = ROOT / "examples/demo_bank/pipeline.yaml"
USERS = 3_000


@pytest.fixture
def bank(stack: Stack, tmp_path: Path) -> Servers:
    servers = servers_of(stack.environ(), tmp_path, prefix="nightly")
    load(servers, Book(users=USERS, seed=11, prefix="nightly"), tmp_path)
    return servers


def _planted(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "planted.json").read_text())
    return found


def _equals_the_list(report: dict[str, Any], planted: dict[str, Any]) -> None:
    assert report["status"] == "success"
    assert report["users"] == planted["users_with_profile"]
    assert report["held"] == len(planted["held"])
    assert report["datasets"].keys() == planted["datasets"].keys()
    for name, found in report["datasets"].items():
        assert found == {figure: planted["datasets"][name][figure] for figure in found}, name


def _whole(url: str) -> tuple[Documents, Documents]:
    return documents(url), documents(url, "credential:")


def _without_meta(found: Documents) -> Documents:
    return {u: {k: v for k, v in d.items() if k != "_meta"} for u, d in found.items()}


def _equal_the_model(url: str, folder: Path) -> None:
    """Every document that the last run wrote or confirmed, against the bank's own model."""
    profiles, credentials = map(_without_meta, _whole(url))
    expected = expected_of(state_on(load_book(folder), 0).frames)
    assert len(expected.users) > 0.99 * USERS
    for user in expected.users:
        assert (profiles[str(user)], credentials[str(user)]) == profile_of(user, expected)


def test_three_nights(
    run: Run,
    bank: Servers,
    target: RedisServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = run(CONFIG, bank.lines)
    planted = _planted(tmp_path)
    _equals_the_list(first, planted)
    assert first["created"] == planted["users_with_profile"]
    _equal_the_model(target.url, tmp_path)
    before = _whole(target.url)
    assert set(before[0]).isdisjoint(planted["held"])
    _are_of_the_usual_size(before[0])

    second = run(CONFIG, bank.lines)
    _equals_the_list(second, planted)
    assert (second["created"], second["updated"]) == (0, 0)
    assert tuple(map(_without_meta, _whole(target.url))) == tuple(map(_without_meta, before))

    move_on(bank, tmp_path)
    third = run(CONFIG, bank.lines)
    planted = _planted(tmp_path)
    moved = planted["moved"]
    _equals_the_list(third, planted)
    assert third["updated"] == len(moved["updated"]) > 100
    assert third["created"] == len(moved["created"]) > 0
    _equal_the_model(target.url, tmp_path)
    after = _whole(target.url)
    old, new = (_by_user(found) for found in (before, after))
    assert {u for u in new if u in old and new[u] != old[u]} == set(moved["updated"])
    assert new.keys() - old.keys() == set(moved["created"])
    for user in moved["newly_held"]:
        assert after[0][str(user)]["_meta"]["held"] == "core.login: missing"
        assert new[user] == old[user]

    told = [json.dumps([first, second, third]), caplog.text, *capfd.readouterr()]
    assert not [text for text in told if CANARY.lower() in text.lower()]


def _are_of_the_usual_size(profiles: Documents) -> None:
    texts = (json.dumps(d, separators=(",", ":"), ensure_ascii=False) for d in profiles.values())
    sizes = sorted(len(text.encode()) for text in texts)
    median = sizes[len(sizes) // 2]
    assert 1_200 < median < 1_700
    assert sizes[-1] > 10 * median


def _by_user(found: tuple[Documents, Documents]) -> dict[int, list[dict[str, Any]]]:
    profiles, credentials = map(_without_meta, found)
    return {int(user): [profiles[user], credentials[user]] for user in profiles}
