"""Merging does not depend on order or chunks, and every row ends in exactly one place."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bank import merge, plan_for
from hypothesis import given, settings
from hypothesis import strategies as st

PLAN = plan_for(
    profile={"anchor": "s.customer"},
    links={
        "owner": {
            "dataset": "s.holder",
            "from": "account",
            "to": "customer",
            "cardinality": "many",
            "columns": ["role"],
        },
        "payer": {
            "dataset": "s.holder",
            "from": "account",
            "to": "customer",
            "where": {"role": "payer"},
        },
    },
    datasets={
        "s.customer": {
            "user_id": "id",
            "into": ".",
            "primary_key": "id",
            "columns": {"id": "integer", "name": "string"},
            "fields": ["name"],
        },
        "s.holder": {"columns": {"account": "integer", "customer": "integer", "role": "string"}},
        "s.account": {
            "user_id": {"link": "owner", "on": "account"},
            "into": "accounts[]",
            "primary_key": "account",
            "columns": {"account": "integer", "kind": "string"},
            "fields": {"account": "account", "kind": "kind", "role": "owner.role"},
        },
        "s.payment": {
            "user_id": {"link": "payer", "on": "account"},
            "into": "accounts[account].payments[]",
            "columns": {"account": "integer", "amount": {"type": "decimal", "scale": 2}},
            "fields": ["amount"],
        },
        "s.spend": {
            "user_id": "customer",
            "into": "spend",
            "columns": {"customer": "integer", "amount": "integer"},
            "fields": {
                "n": {"aggregate": "count"},
                "total": {"aggregate": "sum", "of": "amount"},
            },
        },
    },
)

SMALL = st.integers(0, 5)
AMOUNTS = st.sampled_from(["1.00", "2.50", "0.10", "NaN", "1.005"])
ROWS = st.fixed_dictionaries(
    {
        "s.customer": st.lists(
            st.fixed_dictionaries(
                {"id": SMALL, "name": st.sampled_from(["a", "ä\U0001f600", '"', None])}
            ),
            max_size=6,
        ),
        "s.holder": st.lists(
            st.fixed_dictionaries(
                {"account": SMALL, "customer": SMALL, "role": st.sampled_from(["payer", "user"])}
            ),
            max_size=10,
        ),
        "s.account": st.lists(
            st.fixed_dictionaries({"account": SMALL, "kind": st.sampled_from(["x", "y"])}),
            max_size=8,
        ),
        "s.payment": st.lists(
            st.fixed_dictionaries({"account": SMALL, "amount": AMOUNTS}), max_size=10
        ),
        "s.spend": st.lists(
            st.fixed_dictionaries({"customer": SMALL, "amount": st.integers(-9, 9)}), max_size=10
        ),
    }
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms(), st.integers(1, 4))
def test_order_and_chunks_do_not_matter(rows: dict[str, Any], random: Any, chunk: int) -> None:
    shuffled = {name: random.sample(given, len(given)) for name, given in rows.items()}
    one, other = merge(PLAN, rows), merge(PLAN, shuffled, chunk)
    assert one.bodies == other.bodies
    assert one.held == other.held
    assert merge(PLAN, rows).bodies == one.bodies


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_every_row_ends_in_one_place(rows: dict[str, Any]) -> None:
    made = merge(PLAN, rows)
    for name, counts in made.counts.items():
        assert counts.rows == len(rows[name])
        assert counts.balanced, (name, counts)
    profiles = made.profiles.values()
    assert made.counts["s.customer"].placed == len(made.profiles)
    accounts = [account for profile in profiles for account in profile["accounts"]]
    assert made.counts["s.account"].placed == len(accounts)
    payments = [payment for account in accounts for payment in account["payments"]]
    assert made.counts["s.payment"].placed == len(payments)
    spent = sum(profile["spend"]["n"] for profile in profiles if profile["spend"])
    assert made.counts["s.spend"].placed == spent


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_profiles_equal_an_independent_model(rows: dict[str, Any]) -> None:
    made = merge(PLAN, rows)
    seen = Counter(row["id"] for row in rows["s.customer"])
    expected = {
        str(row["id"]): _modelled(row, rows) for row in rows["s.customer"] if seen[row["id"]] == 1
    }
    assert {user: _unordered(profile) for user, profile in made.profiles.items()} == expected
    assert set(made.held) == {str(user) for user, count in seen.items() if count > 1}


def _modelled(customer: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    """What a profile must be, by loops over plain rows."""
    user = customer["id"]
    holders = {(row["account"], row["customer"], row["role"]) for row in rows["s.holder"]}
    accounts = []
    for row in rows["s.account"]:
        same = [r for r in rows["s.account"] if r["account"] == row["account"]]
        for account, holder, role in holders:
            if account == row["account"] and holder == user and len(same) == 1:
                accounts.append({**row, "role": role, "payments": []})
    for row in rows["s.payment"]:
        payers = {h for a, h, role in holders if a == row["account"] and role == "payer"}
        mine = [a for a in accounts if a["account"] == row["account"]]
        if payers == {user} and len(mine) == 1 and row["amount"] not in ("NaN", "1.005"):
            mine[0]["payments"].append({"amount": row["amount"]})
    spend = [row["amount"] for row in rows["s.spend"] if row["customer"] == user]
    return _unordered(
        {
            "name": customer["name"],
            "accounts": accounts,
            "spend": {"n": len(spend), "total": sum(spend)} if spend else None,
        }
    )


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        # by name: the lists around are sorted by what this prints
        return {name: _unordered(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return sorted((_unordered(inner) for inner in value), key=repr)
    return value
