"""Link: rows that don't carry the user id find it, through one crosswalk or several, or nobody."""

from __future__ import annotations

from typing import Any

import pytest
from bank import USERS, Merged, merge, plan_for, problems_for

HOLDER = {"columns": {"account": "integer", "user": "integer", "role": "string", "since": "date"}}
OWNER = {"dataset": "s.holder", "from": "account", "to": "user"}
HOLDERS = [
    {"account": 1, "user": 1, "role": "owner"},
    {"account": 2, "user": 2, "role": "owner"},
    {"account": 3, "user": 1, "role": "owner"},
    {"account": 3, "user": 2, "role": "guest"},
]
LOAN = {
    "user_id": {"link": "owner", "on": "account"},
    "into": "loans[]",
    "primary_key": "id",
    "columns": {"account": "integer", "id": "integer"},
    "fields": ["id"],
}


def made_of(
    loans: list[dict[str, Any]],
    holders: list[dict[str, Any]] | None = None,
    link: dict[str, Any] | None = None,
    chunk: int = 1000,
    **loan: Any,
) -> Merged:
    plan = plan_for(
        links={"owner": {**OWNER, **(link or {})}},
        datasets={"s.holder": HOLDER, "s.loan": {**LOAN, **loan}},
    )
    given = HOLDERS if holders is None else holders
    made = merge(plan, {"s.user": USERS, "s.holder": given, "s.loan": loans}, chunk)
    for name, counts in made.counts.items():
        assert counts.balanced, (name, counts)
    return made


def loans(made: Merged) -> dict[str, list[Any]]:
    return {user: profile["loans"] for user, profile in made.profiles.items()}


def test_rows_reach_their_user_and_ambiguous_ones_reach_nobody() -> None:
    made = made_of([{"account": 1, "id": 10}, {"account": 2, "id": 20}, {"account": 3, "id": 30}])
    assert loans(made) == {"1": [{"id": 10}], "2": [{"id": 20}]}
    assert made.counts["s.loan"].quarantined == {("ambiguous_link", "owner"): 1}
    assert made.counts["s.loan"].copies == 0


def test_a_condition_on_the_link_makes_it_unambiguous() -> None:
    made = made_of([{"account": 3, "id": 30}], link={"where": {"role": "owner"}})
    assert loans(made) == {"1": [{"id": 30}], "2": []}


@pytest.mark.parametrize(
    ("loan", "reason"),
    [
        ({"account": 9, "id": 1}, ("no_link", "owner")),
        ({"account": None, "id": 1}, ("no_link_key", "account")),
        ({"account": "x", "id": 1}, ("not_an_integer", "account")),
        ({"account": 9, "id": "x"}, ("not_an_integer", "id")),
    ],
)
def test_a_row_that_leads_nowhere(loan: dict[str, Any], reason: tuple[str, str]) -> None:
    assert made_of([loan]).counts["s.loan"].quarantined == {reason: 1}
    lax = made_of([loan], orphans="filter").counts["s.loan"]
    if reason[0] == "not_an_integer":
        assert lax.quarantined == {reason: 1}
    else:
        assert lax.filtered == {reason[0]: 1}


@pytest.mark.parametrize("orphans", ["quarantine", "filter"])
def test_a_link_without_any_row_leads_nowhere(orphans: str) -> None:
    counts = made_of([{"account": 1, "id": 1}], holders=[], orphans=orphans).counts["s.loan"]
    assert (counts.filtered, counts.quarantined) == (
        ({"no_link": 1}, {}) if orphans == "filter" else ({}, {("no_link", "owner"): 1})
    )


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_the_same_link_row_twice_is_one_in_whatever_chunks_they_come(chunk: int) -> None:
    holders = [HOLDERS[0], HOLDERS[1], HOLDERS[0]]
    made = made_of([{"account": 1, "id": 10}], holders, chunk=chunk)
    assert loans(made)["1"] == [{"id": 10}]
    many = {"cardinality": "many", "columns": "role"}
    fields = {"id": "id", "role": "owner.role"}
    made = made_of([{"account": 1, "id": 10}], holders, many, chunk, fields=fields)
    assert loans(made)["1"] == [{"id": 10, "role": "owner"}]


def test_many_copies_the_row_to_each_with_the_columns_of_his_link_row() -> None:
    link = {"cardinality": "many", "columns": ["role", "since"]}
    holders = [*HOLDERS, {"account": 3, "user": 2, "role": "heir", "since": "2024-01-01"}]
    fields = {"id": "id", "as": "owner.role", "since": "owner.since"}
    made = made_of([{"account": 3, "id": 30}], holders, link, fields=fields)
    assert loans(made) == {
        "1": [{"id": 30, "as": "owner", "since": None}],
        "2": [
            {"id": 30, "as": "guest", "since": None},
            {"id": 30, "as": "heir", "since": "2024-01-01"},
        ],
    }
    assert made.counts["s.loan"].copies == 2
    assert made.counts["s.loan"].placed == 3


@pytest.mark.parametrize("turned", [False, True])
def test_columns_of_the_link_row_in_conditions_order_and_aggregates(turned: bool) -> None:
    link = {"cardinality": "many", "columns": ["role", "since"]}
    holders = [
        {"account": 3, "user": 1, "role": role, "since": since}
        for role, since in (
            ("a", "2024-01-03"),
            ("b", "2024-01-01"),
            ("c", "2024-01-02"),
            ("d", None),
        )
    ]
    holders = holders[::-1] if turned else holders
    made = made_of(
        [{"account": 3, "id": 30}],
        holders,
        link,
        where="\"owner.role\" <> 'c'",
        order_by="owner.since desc",
        fields={"as": "owner.role"},
    )
    assert loans(made)["1"] == [{"as": "a"}, {"as": "b"}, {"as": "d"}]
    assert made.counts["s.loan"].filtered == {"where": 1}
    unordered = made_of([{"account": 3, "id": 30}], holders, link, fields={"as": "owner.role"})
    assert [loan["as"] for loan in loans(unordered)["1"]] == ["a", "b", "c", "d"]
    summed = made_of(
        [{"account": 3, "id": 30}, {"account": 1, "id": 10}],
        [*holders, HOLDERS[0]],
        link,
        into="sums",
        primary_key=(),
        fields={
            "n": {"aggregate": "count", "where": {"owner.role": ["a", "b"]}},
            "first": {"aggregate": "min", "of": "owner.since"},
            "last": {"aggregate": "latest", "of": "owner.role", "by": "owner.since"},
        },
    )
    assert summed.profiles["1"]["sums"] == {"n": 2, "first": "2024-01-01", "last": "a"}


def test_an_unreadable_link_row_may_lead_to_another_so_its_key_leads_to_nobody() -> None:
    bad = {"account": 1, "user": 2, "role": "owner", "since": "garbage"}
    made = made_of([{"account": 1, "id": 10}, {"account": 2, "id": 20}], [*HOLDERS[:2], bad])
    assert loans(made) == {"1": [], "2": [{"id": 20}]}
    assert made.counts["s.loan"].quarantined == {("ambiguous_link", "owner"): 1}
    assert made.counts["s.holder"].quarantined == {("not_a_date", "since"): 1}
    alone = made_of([{"account": 1, "id": 10}], [bad])
    assert alone.counts["s.loan"].quarantined == {("no_link", "owner"): 1}
    many = made_of([{"account": 1, "id": 10}], [*HOLDERS[:2], bad], {"cardinality": "many"})
    assert loans(many) == {"1": [{"id": 10}], "2": []}
    other_role = {**bad, "role": "guest"}
    where = {"where": {"role": "owner"}}
    assert loans(made_of([{"account": 1, "id": 10}], [*HOLDERS, other_role], where))["1"] == [
        {"id": 10}
    ]
    unknown_role = {**bad, "role": None}
    made = made_of([{"account": 1, "id": 10}], [*HOLDERS, unknown_role], where)
    assert loans(made)["1"] == []


def test_targets_that_are_no_user_ids() -> None:
    holder = {"columns": {"account": "integer", "user": "string"}}
    plan = plan_for(
        links={"owner": {**OWNER, "cardinality": "many"}},
        datasets={"s.holder": holder, "s.loan": LOAN},
    )
    holders = [{"account": 1, "user": user} for user in ("1", " 1", "01", "x", "")]
    rows = {"s.user": USERS, "s.holder": holders, "s.loan": [{"account": 1, "id": 10}]}
    made = merge(plan, rows)
    assert loans(made)["1"] == [{"id": 10}]
    counts = made.counts["s.loan"]
    assert counts.balanced
    assert counts.quarantined[("user_id_empty", "owner.user")] == 1


@pytest.mark.parametrize("cardinality", ["one", "many"])
def test_one_user_in_several_spellings_is_one_user(cardinality: str) -> None:
    user_id = {"type": "string", "trim": True, "case": "upper", "pad": 4}
    plan = plan_for(
        profile={"anchor": "s.user", "user_id": user_id},
        links={"owner": {**OWNER, "cardinality": cardinality}},
        datasets={
            "s.user": {
                "user_id": "id",
                "into": "me",
                "columns": {"id": "string"},
                "fields": ["id"],
            },
            "s.holder": {"columns": {"account": "integer", "user": "string"}},
            "s.loan": LOAN,
        },
    )
    holders = [{"account": 1, "user": user} for user in ("a1", "A1 ", "00A1")]
    rows = {
        "s.user": [{"id": " 0a1 "}],
        "s.holder": holders,
        "s.loan": [{"account": 1, "id": 10}],
    }
    made = merge(plan, rows)
    assert loans(made) == {"00A1": [{"id": 10}]}
    assert made.counts["s.loan"].copies == 0


CARDS = {
    "links": {
        "owner": {**OWNER, "cardinality": "many", "columns": "role"},
        "card": {
            "dataset": "s.card",
            "from": ["bank", "number"],
            "to": "account",
            "columns": "kind",
            "cardinality": "many",
        },
        "by_mail": {
            "dataset": "s.mail",
            "from": "mail",
            "to": ["bank", "number"],
            "case_insensitive": True,
        },
    },
    "datasets": {
        "s.holder": HOLDER,
        "s.card": {
            "columns": {
                "bank": "string",
                "number": "integer",
                "account": "integer",
                "kind": "string",
            }
        },
        "s.mail": {"columns": {"mail": "string", "bank": "string", "number": "integer"}},
        "s.loan": {
            "user_id": {"link": ["by_mail", "card", "owner"], "on": "mail"},
            "into": "loans[]",
            "columns": {"mail": "string", "id": "integer"},
            "primary_key": "id",
            "fields": {"id": "id", "kind": "card.kind", "role": "owner.role"},
        },
    },
}


def test_several_hops_with_keys_of_two_columns_and_columns_of_each_link_row() -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "s.user": USERS,
        "s.holder": HOLDERS,
        "s.card": [
            {"bank": "x", "number": 1, "account": 1, "kind": "debit"},
            {"bank": "x", "number": 2, "account": 3, "kind": "credit"},
            {"bank": "y", "number": 1, "account": 2, "kind": "debit"},
        ],
        "s.mail": [
            {"mail": "Ä@x ", "bank": "x", "number": 1},
            {"mail": "b@x", "bank": "x", "number": 2},
            {"mail": "c@x", "bank": "y", "number": 1},
            {"mail": "C@X", "bank": "x", "number": 1},
            {"mail": "d@x", "bank": "z", "number": 1},
            {"mail": "e@x", "bank": None, "number": 1},
        ],
        "s.loan": [
            {"mail": "a\u0308@X", "id": 1},
            {"mail": " B@x", "id": 2},
            {"mail": "c@x", "id": 3},
            {"mail": "d@x", "id": 4},
            {"mail": "e@x", "id": 5},
            {"mail": "f@x", "id": 6},
        ],
    }
    made = merge(plan_for(**CARDS), rows)
    assert loans(made) == {
        "1": [
            {"id": 1, "kind": "debit", "role": "owner"},
            {"id": 2, "kind": "credit", "role": "owner"},
        ],
        "2": [{"id": 2, "kind": "credit", "role": "guest"}],
    }
    counts = made.counts["s.loan"]
    assert counts.quarantined == {
        ("ambiguous_link", "by_mail"): 1,
        ("no_link", "card"): 1,
        ("no_link", "by_mail"): 2,
    }
    assert counts.copies == 1
    assert counts.balanced


def test_a_next_key_in_two_spellings_is_one_where_the_next_link_does_not_tell_them_apart() -> None:
    plan = plan_for(
        links={
            "tier": {"dataset": "s.tier", "from": "tier", "to": "mail"},
            "mail": {"dataset": "s.mail", "from": "mail", "to": "user", "case_insensitive": True},
        },
        datasets={
            "s.tier": {"columns": {"tier": "integer", "mail": "string"}},
            "s.mail": {"columns": {"mail": "string", "user": "integer"}},
            "s.loan": {**LOAN, "user_id": {"link": ["tier", "mail"], "on": "account"}},
        },
    )
    rows = {
        "s.user": USERS,
        "s.tier": [{"tier": 1, "mail": "A@x"}, {"tier": 1, "mail": "a@X "}],
        "s.mail": [{"mail": "a@x", "user": 1}],
        "s.loan": [{"account": 1, "id": 10}],
    }
    assert loans(merge(plan, rows))["1"] == [{"id": 10}]


ARRAY_LOAN = {
    "user_id": {"link": "owner", "on": "accounts"},
    "columns": {"accounts": "integer[]", "id": "integer", "user": "integer"},
}


def test_each_item_of_an_array_counts_once() -> None:
    made = made_of(
        [
            {"accounts": "[1, 2]", "id": 10},
            {"accounts": "[1, 1, 3]", "id": 20},
            {"accounts": "[]", "id": 30},
            {"accounts": "[null, 2]", "id": 40},
            {"accounts": None, "id": 50},
        ],
        [*HOLDERS[:2], {"account": 3, "user": 1}],
        **ARRAY_LOAN,
    )
    assert loans(made) == {"1": [{"id": 10}, {"id": 20}], "2": [{"id": 10}, {"id": 40}]}
    assert made.counts["s.loan"].quarantined == {("no_link_key", "accounts"): 3}


def test_equal_rows_stay_two_though_each_reaches_its_user_twice() -> None:
    rows = [{"accounts": "[1, 3]", "id": 10}, {"accounts": "[1, 3]", "id": 10}]
    holders = [HOLDERS[0], HOLDERS[2]]
    for chunk in (1, 1000):
        made = made_of(rows, holders, None, chunk, **ARRAY_LOAN, primary_key=())
        assert loans(made)["1"] == [{"id": 10}, {"id": 10}]
        assert made.counts["s.loan"].copies == 0


def test_an_array_of_user_ids_names_each_user_once() -> None:
    dataset = {
        "user_id": "users",
        "into": "loans[]",
        "primary_key": "id",
        "columns": {"users": "string[]", "id": "integer"},
        "fields": ["id"],
    }
    rows = [
        {"users": '["1", "2", "1"]', "id": 10},
        {"users": "[]", "id": 20},
        {"users": '["2", "x"]', "id": 30},
    ]
    made = merge(plan_for(datasets={"s.loan": dataset}), {"s.user": USERS, "s.loan": rows})
    assert loans(made) == {"1": [{"id": 10}], "2": [{"id": 10}, {"id": 30}]}
    counts = made.counts["s.loan"]
    assert counts.balanced
    assert counts.quarantined == {("no_user_id", "users"): 1, ("not_an_integer", "users"): 1}


def test_arrays_on_both_sides_of_a_crosswalk() -> None:
    plan = plan_for(
        links={
            "group": {"dataset": "s.group", "from": "parts", "to": "users", "cardinality": "many"}
        },
        datasets={
            "s.group": {"columns": {"parts": "string[]", "users": "integer[]"}},
            "s.loan": {
                **LOAN,
                "user_id": {"link": "group", "on": "account"},
                "columns": {"account": "string", "id": "integer"},
            },
        },
    )
    rows = {
        "s.user": USERS,
        "s.group": [
            {"parts": '["a", "b"]', "users": "[1, 2]"},
            {"parts": '["b"]', "users": "[2, null]"},
            {"parts": '["c"]', "users": "[]"},
        ],
        "s.loan": [{"account": a, "id": n} for n, a in enumerate("abc")],
    }
    made = merge(plan, rows)
    assert loans(made) == {"1": [{"id": 0}, {"id": 1}], "2": [{"id": 0}, {"id": 1}]}
    assert made.counts["s.loan"].quarantined == {("no_link", "group"): 1}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"loan": {"columns": {"account": "string", "id": "integer"}}},
            "is text, s.holder.account is integer",
        ),
        ({"link": {"from": ["account", "user"]}}, "the link's key has 2 columns, not 1"),
        ({"link": {"to": ["account", "user"]}}, "the last link must lead to one column"),
        ({"link": {"where": {"role": 5}}}, "links → owner → where"),
        ({"link": {"where": "user"}}, "user"),
        ({"link": {"where": "account"}}, "not true or false"),
        ({"link": {"dataset": "s.nothing"}}, "there is no dataset 's.nothing'"),
        ({"loan": {"user_id": {"link": "nobody", "on": "account"}}}, "there is no link 'nobody'"),
        (
            {
                "loan": {
                    "user_id": {"link": "owner", "on": "look.account"},
                    "lookups": {"look": {"dataset": "s.holder", "on": "id", "key": "user"}},
                }
            },
            "'look.account' is not known before the user is",
        ),
        (
            {"loan": {"columns": {"account": "number[]", "id": "integer"}}},
            "is text, s.holder.account is integer",
        ),
    ],
)
def test_check_tells_why_a_link_can_not_be(parts: dict[str, Any], said: str) -> None:
    problems = problems_for(
        links={"owner": {**OWNER, **parts.get("link", {})}},
        datasets={"s.holder": HOLDER, "s.loan": {**LOAN, **parts.get("loan", {})}},
    )
    assert any(said in problem for problem in problems), problems
