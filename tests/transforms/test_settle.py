"""Settle: which rows and users are fit, in what order, and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from bank import USERS, Merged, merge, plan_for, profiles

ITEM = {
    "user_id": "user",
    "into": "items[]",
    "columns": {"user": "integer", "id": "integer", "day": "date", "name": "string"},
    "fields": ["id"],
}


def made_of(
    dataset: dict[str, Any],
    items: list[dict[str, Any]],
    rows: dict[str, list[dict[str, Any]]] | None = None,
    **parts: Any,
) -> Merged:
    datasets = {"s.item": {**ITEM, **dataset}, **parts.pop("datasets", {})}
    given = {"s.user": USERS, "s.item": items, **(rows or {})}
    made = merge(plan_for(datasets=datasets, **parts), given)
    for name, counts in made.counts.items():
        assert counts.balanced, (name, counts)
    return made


def ids(made: Merged, user: str = "1") -> list[int]:
    return [item["id"] for item in made.profiles[user]["items"]]


ROWS: list[dict[str, Any]] = [
    {"user": 1, "id": 1, "day": "2024-01-01", "name": "b"},
    {"user": 1, "id": 2, "day": None, "name": "a"},
    {"user": 1, "id": 3, "day": "2024-03-01", "name": None},
    {"user": 1, "id": 4, "day": "2024-01-01", "name": "a"},
    {"user": 2, "id": 5, "day": "2024-01-01", "name": "a"},
]


@pytest.mark.parametrize(
    ("order_by", "primary_key", "expected"),
    [
        (["day", "id"], "id", [1, 4, 3, 2]),
        (["day desc", "id desc"], "id", [3, 4, 1, 2]),
        ("day", "id", [1, 4, 3, 2]),
        ("day desc", "id", [3, 1, 4, 2]),
        ("name", "id", [2, 4, 1, 3]),
        ("name desc", "id", [1, 2, 4, 3]),
        ("day", ["name", "id"], [4, 1, 3, 2]),
        ("day asc", (), [1, 4, 3, 2]),
        ((), "id", [1, 2, 3, 4]),
        ((), (), [1, 4, 3, 2]),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_order(order_by: Any, primary_key: Any, expected: list[int], turned: bool) -> None:
    rows = ROWS[::-1] if turned else ROWS
    made = made_of({"order_by": order_by, "primary_key": primary_key}, rows)
    assert ids(made) == expected
    assert ids(made, "2") == [5]


def test_rows_that_differ_in_nothing_are_all_kept() -> None:
    assert ids(made_of({}, [ROWS[0], ROWS[1], ROWS[0]])) == [1, 1, 2]


def test_a_limit_keeps_the_first_of_each_user() -> None:
    made = made_of({"order_by": "day desc", "primary_key": "id", "limit": 2}, ROWS)
    assert (ids(made), ids(made, "2")) == ([3, 1], [5])
    assert made.counts["s.item"].filtered == {"limit": 2}
    assert made.counts["s.item"].placed == 3


def test_the_first_row_by_order_makes_an_object() -> None:
    made = made_of({"into": "newest", "order_by": "day desc", "fields": ["id", "day"]}, ROWS)
    assert made.profiles["1"]["newest"] == {"id": 3, "day": "2024-03-01"}
    assert made.profiles["2"]["newest"] == {"id": 5, "day": "2024-01-01"}
    assert made.counts["s.item"].filtered == {"not_first": 3}


def test_two_rows_for_an_object_are_both_quarantined() -> None:
    made = made_of({"into": "one"}, ROWS)
    assert made.profiles["1"]["one"] is None
    assert made.profiles["2"]["one"] == {"id": 5}
    assert made.counts["s.item"].quarantined == {("duplicate", ""): 4}
    assert made.held == {}


def test_rows_with_a_repeated_key_are_all_quarantined_within_the_user() -> None:
    rows = [*ROWS[:2], {**ROWS[0], "day": "2024-05-05"}, {**ROWS[0], "user": 2}]
    made = made_of({"primary_key": "id"}, rows)
    assert (ids(made), ids(made, "2")) == ([2], [1])
    assert made.counts["s.item"].quarantined == {("duplicate", "id"): 2}


def test_rows_of_unknown_users() -> None:
    rows = [*ROWS, {"user": 9, "id": 6}, {"user": 9, "id": 7}]
    strict, lax = made_of({}, rows), made_of({"orphans": "filter"}, rows)
    assert strict.counts["s.item"].quarantined == {("unknown_user", ""): 2}
    assert lax.counts["s.item"].filtered == {"unknown_user": 2}
    assert set(strict.profiles) == set(lax.profiles) == {"1", "2"}


def test_rows_without_a_user() -> None:
    rows = [*ROWS, {"user": None, "id": 6}]
    assert made_of({}, rows).counts["s.item"].quarantined == {("no_user_id", "user"): 1}
    assert made_of({"orphans": "filter"}, rows).counts["s.item"].filtered == {"no_user_id": 1}


def test_a_row_with_a_bad_value_is_quarantined_with_its_column() -> None:
    made = made_of({}, [*ROWS[:2], {"user": 1, "id": 3, "day": "2024-02-30"}])
    assert ids(made) == [1, 2]
    assert made.counts["s.item"].quarantined == {("not_a_date", "day"): 1}


def test_where_on_the_user_a_row_was_led_to() -> None:
    where = "id <> __user_id"
    made = made_of(
        {"where": where, "columns": {"user": "integer", "id": "integer"}},
        [
            {"user": 1, "id": 1},
            {"user": 1, "id": 2},
            {"user": 2, "id": 2},
            {"user": 2, "id": None},
        ],
    )
    assert (ids(made), made.profiles["2"]["items"]) == ([2], [])
    assert made.counts["s.item"].filtered == {"where": 3}


LOGIN = {
    "user_id": "user",
    "into": "auth",
    "required": True,
    "columns": {"user": "integer", "locked": "boolean", "hash": "password_hash", "why": "string"},
    "fields": {"locked": None, "hash": {"class": "secret"}},
}
HASH = "$2b$12$abcdefghijklmnopqrstuuSd7xpq0vRmXZ9cG6Tn3kMZnW1kqZq6."


@pytest.mark.parametrize(
    ("logins", "held", "counts"),
    [
        ([], "s.login: missing", {}),
        ([{"user": 9, "locked": 0}], "s.login: missing", {("unknown_user", ""): 1}),
        (
            [{"user": 1, "locked": "maybe"}],
            "s.login: not_a_boolean",
            {("not_a_boolean", "locked"): 1},
        ),
        (
            [{"user": 1, "locked": 0, "hash": "secret"}],
            "s.login: unknown_hash_scheme",
            {("unknown_hash_scheme", "hash"): 1},
        ),
        (
            [{"user": 1, "locked": 0}, {"user": 1, "locked": 1}],
            "s.login: duplicate",
            {("duplicate", ""): 2},
        ),
        (
            [{"user": 1, "locked": 0}, {"user": 1, "locked": "maybe"}],
            "s.login: not_a_boolean",
            {("not_a_boolean", "locked"): 1, ("user_held", ""): 1},
        ),
    ],
)
def test_a_required_row_that_is_bad_or_missing_holds_the_user(
    logins: list[dict[str, Any]], held: str, counts: dict[Any, int]
) -> None:
    good = {"user": 2, "locked": 1, "hash": HASH}
    made = made_of({}, ROWS, datasets={"s.login": LOGIN}, rows={"s.login": [good, *logins]})
    assert made.held == {"1": held}
    assert made.counts["s.login"].quarantined == counts
    assert made.counts["s.item"].quarantined == {("user_held", ""): 4}
    assert made.counts["s.user"].quarantined == {("user_held", ""): 1}
    assert made.profiles == {"2": {"me": {"id": 2}, "items": [{"id": 5}], "auth": {"locked": True}}}
    assert made.secrets == {"2": {"auth": {"hash": HASH}}}


def test_a_required_dataset_without_any_row_holds_everyone() -> None:
    made = made_of({}, ROWS, datasets={"s.login": LOGIN})
    assert made.held == {"1": "s.login: missing", "2": "s.login: missing"}
    assert made.profiles == {}


def test_a_row_that_a_filter_leaves_out_is_missing() -> None:
    rows = {"s.login": [{"user": 1, "locked": 0, "why": "x"}, {"user": 2, "locked": 0}]}
    made = made_of({}, ROWS, datasets={"s.login": {**LOGIN, "where": {"why": "x"}}}, rows=rows)
    assert made.held == {"2": "s.login: missing"}


def test_a_user_is_held_for_the_first_reason_whatever_rows_others_have() -> None:
    other = {**LOGIN, "into": "auth2", "fields": ["locked"]}
    datasets = {"s.z": LOGIN, "s.y": other}
    z = [{"user": 1, "locked": "maybe"}, {"user": 2, "locked": 0}]
    alone = made_of({}, [], datasets=datasets, rows={"s.z": z})
    beside = made_of({}, [], datasets=datasets, rows={"s.z": z, "s.y": [{"user": 2, "locked": 0}]})
    assert alone.held == {"1": "s.y: missing", "2": "s.y: missing"}
    assert beside.held == {"1": "s.y: missing"}


def test_an_anchor_row_that_is_repeated_or_bad_holds_its_user() -> None:
    anchor = {"profile": {"anchor": "s.a"}}
    columns = {"id": "integer", "born": "date"}
    dataset = {"user_id": "id", "into": "me", "primary_key": "id", "columns": columns}
    rows = [{"id": 1, "born": "x"}, {"id": 2}, {"id": 3}, {"id": 3}, {"id": None}, {"id": "y"}]
    made = merge(plan_for(datasets={"s.a": dataset}, **anchor), {"s.a": rows})
    assert made.held == {"1": "s.a: not_a_date", "3": "s.a: duplicate"}
    assert set(made.profiles) == {"2"}
    assert made.counts["s.a"].quarantined == {
        ("not_a_date", "born"): 1,
        ("duplicate", "id"): 2,
        ("no_user_id", "id"): 1,
        ("not_an_integer", "id"): 1,
    }
    assert made.counts["s.a"].balanced


def test_a_filter_of_the_anchor_decides_which_users_exist() -> None:
    columns = {"id": "integer", "state": "string", "branch": "integer"}
    dataset = {
        "user_id": "id",
        "into": "me",
        "columns": columns,
        "lookups": {"b": {"dataset": "s.branch", "on": "branch", "key": "nr"}},
    }
    branches = {"columns": {"nr": "integer", "open": "boolean"}}
    rows = {
        "s.a": [
            {"id": 1, "state": "on", "branch": 1},
            {"id": 2, "state": "off", "branch": 2},
            {"id": 3, "state": None, "branch": None},
        ],
        "s.branch": [{"nr": 1, "open": 1}, {"nr": 2, "open": 0}],
    }
    for where in ("state = 'on'", "__user_id = 1", '"b.open"'):
        datasets = {"s.a": {**dataset, "where": where}, "s.branch": branches}
        made = merge(plan_for(profile={"anchor": "s.a"}, datasets=datasets), rows)
        assert (set(made.profiles), made.held) == ({"1"}, {}), where
        assert made.counts["s.a"].filtered == {"where": 2}
        assert made.counts["s.a"].balanced


def test_a_bad_row_is_not_filtered_by_a_condition_that_can_not_tell() -> None:
    where = {"where": "locked = (__user_id = 1)"}
    logins = [{"user": 1, "locked": "maybe"}, {"user": 2, "locked": 0}]
    made = made_of({}, [], datasets={"s.login": {**LOGIN, **where}}, rows={"s.login": logins})
    assert made.held == {"1": "s.login: not_a_boolean"}
    assert made.counts["s.login"].quarantined == {("not_a_boolean", "locked"): 1}


ACCOUNT = {
    "user_id": "user",
    "into": "accounts[]",
    "primary_key": "nr",
    "columns": {"user": "integer", "nr": "integer", "day": "date"},
    "fields": ["nr"],
}
USE = {
    "user_id": "user",
    "into": "accounts[nr=account].uses[]",
    "columns": {"user": "integer", "account": "integer", "n": "integer"},
    "fields": ["n"],
}
ACCOUNTS = [{"user": 1, "nr": 1}, {"user": 1, "nr": 2}, {"user": 2, "nr": 1}]


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ({"user": 1, "account": 9, "n": 1}, "no_element"),
        ({"user": 2, "account": 2, "n": 1}, "no_element"),
        ({"user": 1, "account": None, "n": 1}, "no_element"),
        ({"user": 9, "account": 1, "n": 1}, "unknown_user"),
    ],
)
def test_a_row_without_an_element(use: dict[str, Any], reason: str) -> None:
    culprit = "account" if reason == "no_element" else ""
    for orphans in ("quarantine", "filter"):
        datasets = {"s.account": ACCOUNT, "s.use": {**USE, "orphans": orphans}}
        rows = {"s.user": USERS, "s.account": ACCOUNTS, "s.use": [use]}
        made = merge(plan_for(datasets=datasets), rows)
        assert made.profiles["1"]["accounts"] == [{"nr": 1, "uses": []}, {"nr": 2, "uses": []}]
        counts = made.counts["s.use"]
        assert counts.balanced
        if orphans == "filter":
            assert counts.filtered == {reason: 1}
        else:
            assert counts.quarantined == {(reason, culprit): 1}


def test_a_row_with_several_elements_is_in_none() -> None:
    datasets = {"s.account": {**ACCOUNT, "primary_key": (), "order_by": "nr"}, "s.use": USE}
    accounts = [*ACCOUNTS, {"user": 1, "nr": 2, "day": "2024-01-01"}]
    rows = {
        "s.user": USERS,
        "s.account": accounts,
        "s.use": [{"user": 1, "account": 2, "n": 1}, {"user": 1, "account": 1, "n": 2}],
    }
    made = merge(plan_for(datasets=datasets), rows)
    assert made.profiles["1"]["accounts"] == [
        {"nr": 1, "uses": [{"n": 2}]},
        {"nr": 2, "uses": []},
        {"nr": 2, "uses": []},
    ]
    assert made.counts["s.use"].quarantined == {("ambiguous_element", "account"): 1}


def test_what_is_inside_an_element_that_a_limit_cut_is_left_out_with_it() -> None:
    account = {**ACCOUNT, "limit": 1, "order_by": "day"}
    use = {**USE, "columns": {**USE["columns"], "id": "integer"}, "fields": ["id"]}
    part = {
        "user_id": "user",
        "into": "accounts[].uses[id=use].parts[]",
        "columns": {"user": "integer", "use": "integer"},
        "fields": ["use"],
    }
    rows = {
        "s.user": USERS,
        "s.account": [
            {"user": 1, "nr": 1, "day": "2024-02-01"},
            {"user": 1, "nr": 2, "day": "2024-01-01"},
        ],
        "s.use": [
            {"user": 1, "account": 1, "id": 10},
            {"user": 1, "account": 2, "id": 20},
            {"user": 1, "account": 3, "id": 30},
        ],
        "s.part": [{"user": 1, "use": 10}, {"user": 1, "use": 20}, {"user": 1, "use": 30}],
    }
    made = merge(plan_for(datasets={"s.account": account, "s.use": use, "s.part": part}), rows)
    assert made.profiles["1"]["accounts"] == [
        {"nr": 2, "uses": [{"id": 20, "parts": [{"use": 20}]}]}
    ]
    assert made.counts["s.account"].filtered == {"limit": 1}
    for name, culprit in (("s.use", "account"), ("s.part", "use")):
        assert made.counts[name].filtered == {"limit": 1}
        assert made.counts[name].quarantined == {("no_element", culprit): 1}
        assert made.counts[name].balanced


def test_elements_are_sought_among_all_also_those_that_a_limit_cut() -> None:
    account = {**ACCOUNT, "primary_key": (), "limit": 1, "order_by": "day"}
    rows = {
        "s.user": USERS,
        "s.account": [{"user": 1, "nr": 1, "day": d} for d in ("2024-01-01", "2024-01-02")],
        "s.use": [{"user": 1, "account": 1, "n": 1}],
    }
    made = merge(plan_for(datasets={"s.account": account, "s.use": USE}), rows)
    assert made.profiles["1"]["accounts"] == [{"nr": 1, "uses": []}]
    assert made.counts["s.use"].quarantined == {("ambiguous_element", "account"): 1}


def test_no_user_and_no_row_gives_nothing() -> None:
    plan = plan_for(datasets={"s.item": ITEM})
    assert merge(plan, {}).bodies == {}
    made = merge(plan, {"s.item": ROWS})
    assert made.bodies == {}
    assert made.counts["s.item"].quarantined == {("unknown_user", ""): 5}


def test_users_come_in_order() -> None:
    users = [{"id": n} for n in (3, -1, 10, 2)]
    assert list(profiles({"s.user": users}, datasets={"s.item": ITEM})) == ["-1", "2", "3", "10"]
