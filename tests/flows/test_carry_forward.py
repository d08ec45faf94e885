"""A source that is down: its sections keep their values, told as stale, and nobody is removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from conftest import ROOT
from oracle import documents, without_epoch

from core.errors import ConfigError, SourceUnavailable
from core.pipeline_file import load_pipeline
from devstack import RedisServer, Stack
from devstack.bank import Book, Servers, load, servers_of
from flows import guards

Run = Callable[..., dict[str, Any]]
TEXT = (ROOT / "examples/demo_bank/pipeline.yaml").read_text(encoding="utf-8")
SECTIONS = ("cards", "recent_purchases")
DOWN = "postgresql+psycopg://postgres@127.0.0.1:1/gone"


def _config(folder: Path, **sources: str) -> Path:
    text = TEXT
    for name, more in sources.items():
        url = f'url: "${{DEMO_{name.upper()}_URL}}"'
        assert url in text
        text = text.replace(url, f"{url}, on_failure: carry_forward{more}")
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def bank(stack: Stack, tmp_path: Path) -> Servers:
    servers = servers_of(stack.environ(), tmp_path, prefix="carried")
    load(servers, Book(users=600, seed=3, prefix="carried"), tmp_path)
    return servers


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "_meta"}


def test_a_source_that_is_down_is_carried_forward(
    run: Run, bank: Servers, target: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The guard must not take the mark on every document for a change of all of them.
    monkeypatch.setattr(guards, "FEW_CHANGES", 1)
    config = _config(tmp_path, cards="")
    with pytest.raises(SourceUnavailable, match="no complete run has read it yet"):
        run(config, {**bank.lines, "DEMO_CARDS_URL": DOWN})
    assert documents(target.url) == {}

    first = run(config, bank.lines)
    before = documents(target.url)
    with_cards = next(user for user in sorted(before) if before[user]["recent_purchases"])
    leaver = next(user for user in sorted(before) if user != with_cards)
    with psycopg.connect(bank.lines["DEMO_CORE_URL"].replace("+psycopg", "")) as core:
        core.execute("UPDATE customer SET city = 'Newcity' WHERE customer_id = %s", (with_cards,))
        core.execute("DELETE FROM customer WHERE customer_id = %s", (leaver,))

    carried = run(config, {**bank.lines, "DEMO_CARDS_URL": DOWN})
    after = documents(target.url)
    as_of = first["sources"]["cards"]["as_of"][:19] + "Z"
    assert (carried["status"], carried["carried"]) == ("success", {"cards": as_of})
    assert (carried["complete"], carried["removed"], carried["leaving"]) == (False, 0, 0)
    assert "cards" not in carried["sources"]
    assert leaver in after
    for user, document in after.items():
        if user == leaver:
            continue
        assert document["_meta"]["stale"] == {"cards": as_of}
        assert [document[s] for s in SECTIONS] == [before[user][s] for s in SECTIONS]
    assert after[with_cards]["identity"]["address"]["city"] == "Newcity"
    again = run(config, {**bank.lines, "DEMO_CARDS_URL": DOWN})
    assert (again["updated"], again["unchanged"]) == (0, carried["users"])

    back = run(config, bank.lines)
    assert (back["removed"], back["carried"]) == (1, {})
    found = documents(target.url)
    assert leaver not in found
    assert not any("stale" in document["_meta"] for document in found.values())
    del before[leaver]
    before[with_cards]["identity"]["address"]["city"] = "Newcity"
    assert {u: _bare(d) for u, d in found.items()} == {u: _bare(d) for u, d in before.items()}


def test_values_that_are_too_old_are_not_carried(
    run: Run, bank: Servers, target: RedisServer, tmp_path: Path
) -> None:
    config = _config(tmp_path, cards=", max_age_s: 0.001")
    run(config, bank.lines)
    before = documents(target.url)
    with pytest.raises(SourceUnavailable, match=r"source cards: .*max_age_s is 0\.001"):
        run(config, {**bank.lines, "DEMO_CARDS_URL": DOWN})
    assert documents(target.url) == before


def test_a_source_that_goes_down_in_mid_run_is_carried_forward(
    run: Run, bank: Servers, target: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors import postgres

    config = _config(tmp_path, cards="")
    run(config, bank.lines)
    before = without_epoch(documents(target.url))
    read = postgres.PostgresConnector.read

    def broken(self: Any, query: Any, chunk_bytes: int) -> Any:
        if query.dataset == "cards.recent":
            raise SourceUnavailable("cards", "cut off", query.dataset)
        return read(self, query, chunk_bytes)

    monkeypatch.setattr(postgres.PostgresConnector, "read", broken)
    report = run(config, bank.lines)
    assert list(report["carried"]) == ["cards"]
    assert {u: _bare(d) for u, d in documents(target.url).items()} == {
        u: _bare(d) for u, d in before.items()
    }
    with redis.Redis.from_url(target.url) as client:
        stored = json.loads(client.execute_command("JSON.GET", f"profile:{next(iter(before))}"))
    assert list(stored) == list(next(iter(before.values()))), "sections stay in their order"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("core", "it has the anchor"),
        ("core", "core.login is `required`"),
        ("core", "core.login has a secret field"),
        ("core", "lending.loan needs its link 'account_owner'"),
        ("engagement", "section 'identity' is fed by core.customer, too"),
        ("lending", "section 'accounts' is fed by core.account, too"),
    ],
)
def test_what_can_not_be_carried_is_refused(tmp_path: Path, source: str, reason: str) -> None:
    environ = dict.fromkeys(
        ("DEMO_CORE_URL", "DEMO_CARDS_URL", "DEMO_LENDING_URL", "DEMO_ENGAGEMENT_URL"), "x"
    )
    with pytest.raises(ConfigError) as caught:
        load_pipeline(_config(tmp_path, **{source: ""}), environ)
    assert any(f"sources → {source}" in p and reason in p for p in caught.value.problems)
