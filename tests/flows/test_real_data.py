"""Both real data sets, through the flow, against oracles that share no code with the product."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from conftest import ROOT
from oracle import bare, documents, oracle, without_order

from devstack import RedisServer
from tests.programs import real_data

Run = Callable[..., dict[str, Any]]


def _whole_profiles(name: str) -> list[dict[str, Any]]:
    found = []
    for entry in oracle(name)["profiles"].values():
        found += entry if isinstance(entry, list) else [entry]
    return found


@pytest.fixture
def clients(run: Run, berka: dict[str, str], target: RedisServer) -> dict[str, dict[str, Any]]:
    report = run(ROOT / "examples/berka/pipeline.yaml", berka)
    assert report["status"] == "success"
    assert report["created"] == 5369
    return documents(target.url)


def test_berka(clients: dict[str, dict[str, Any]]) -> None:
    expected = oracle("berka")
    for profile in _whole_profiles("berka"):
        found = bare(clients[str(profile["client_id"])])
        assert without_order(found) == without_order(profile)
    totals = expected["totals"]
    assert len(clients) == totals["profiles"]
    accounts = [account for client in clients.values() for account in client["accounts"]]
    loans = [loan for account in accounts for loan in account["loans"]]
    orders = [order for account in accounts for order in account["orders"]]
    cards = [card for account in accounts for card in account["cards"]]
    moved = [account["transactions"] for account in accounts if account["transactions"]]
    assert Counter(account["role"] for account in accounts) == totals["dispositions"]
    assert Counter(client["gender"] for client in clients.values()) == totals["gender"]
    assert len(loans) == totals["loans"]["count"]
    assert sum(Decimal(x["amount"]) for x in loans) == Decimal(totals["loans"]["sum_amount"])
    assert sum(Decimal(x["payments"]) for x in loans) == Decimal(totals["loans"]["sum_payments"])
    assert Counter(loan["status"] for loan in loans) == totals["loans"]["by_status"]
    assert len(orders) == totals["orders"]["count"]
    assert sum(Decimal(x["amount"]) for x in orders) == Decimal(totals["orders"]["sum_amount"])
    assert sum(x["k_symbol"] is None for x in orders) == totals["orders"]["blank_k_symbol"]
    assert Counter(card["type"] for card in cards) == totals["cards"]["by_type"]
    assert sum(x["count"] for x in moved) == totals["transactions"]["count"]
    credit = sum(Decimal(x["sum_credit"]) for x in moved)
    assert credit == Decimal(totals["transactions"]["sum_credit"])
    debit = sum(Decimal(x["sum_debit"]) for x in moved)
    assert debit == Decimal(totals["transactions"]["sum_debit"])


def test_berka_every_client(clients: dict[str, dict[str, Any]]) -> None:
    with (real_data() / "berka" / "oracle_profiles.csv").open(
        encoding="utf-8", newline=""
    ) as lines:
        expected = list(csv.DictReader(lines))
    assert len(expected) == len(clients)
    for line in expected:
        client = clients[line["client_id"]]
        (account,) = client["accounts"]
        moved = account["transactions"]
        found = {
            "client_id": str(client["client_id"]),
            "birth_date": client["birth_date"],
            "gender": client["gender"],
            "district_id": str(client["district"]["id"]),
            "account_id": str(account["account_id"]),
            "role": account["role"],
            "account_opened": account["opened"],
            "n_loans": str(len(account["loans"])),
            "loan_amount": str(sum(Decimal(x["amount"]) for x in account["loans"])),
            "n_orders": str(len(account["orders"])),
            "order_amount": str(sum(Decimal(x["amount"]) for x in account["orders"])),
            "n_cards": str(len(account["cards"])),
            "card_type": ",".join(card["type"] for card in account["cards"]),
            "n_trans": str(moved["count"]) if moved else "0",
            "trans_net": moved["net"] if moved else "0",
        }
        money = ("loan_amount", "order_amount", "trans_net")
        for name in money:
            assert Decimal(found.pop(name)) == Decimal(line[name]), (line["client_id"], name)
        assert found == {name: line[name] for name in found}


def test_sample_analytics(run: Run, sample_analytics: dict[str, str], target: RedisServer) -> None:
    config = ROOT / "examples/sample_analytics/pipeline.yaml"
    assert run(config, sample_analytics)["created"] == 500
    customers = documents(target.url)
    for profile in _whole_profiles("sample_analytics"):
        found = bare(customers[profile["_id"]])
        assert without_order(found) == without_order(profile)
        by_id = {a["account_oid"]: a["products"] for a in profile["accounts"]}
        assert {a["account_oid"]: a["products"] for a in found["accounts"]} == by_id
    totals = oracle("sample_analytics")["totals"]
    assert len(customers) == totals["profiles"]
    tiers = [tier for customer in customers.values() for tier in customer["tiers"]]
    assert Counter(tier["tier"] for tier in tiers) == totals["tiers"]
    assert sum(tier["active"] for tier in tiers) == totals["tiers_active"]
    assert sum(len(tier["benefits"]) for tier in tiers) == totals["benefit_rows"]
    assert sum(bool(c["tiers"]) for c in customers.values()) == totals["profiles_with_tier"]
    assert sum("active" in c for c in customers.values()) == totals["profiles_with_active_field"]
    early = [c for c in customers.values() if c["birthdate_utc"] < "1970"]
    assert len(early) == totals["birthdates_before_1970"]
    limits = sum(a["limit"] for c in customers.values() for a in c["accounts"])
    assert limits == totals["sum_limit_over_profiles_naive_join"]


def test_a_second_run_writes_nothing(
    run: Run, sample_analytics: dict[str, str], target: RedisServer
) -> None:
    config = ROOT / "examples/sample_analytics/pipeline.yaml"
    run(config, sample_analytics)
    before = documents(target.url)
    report = run(config, sample_analytics)
    assert (report["unchanged"], report["created"], report["updated"]) == (500, 0, 0)
    assert documents(target.url) == before
