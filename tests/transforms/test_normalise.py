"""Normalise: hooks, filters and lookups on typed rows, before a row has found its user."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import USERS, Merged, merge, plan_for, problems_for

from core.errors import ConfigError

PERSON = {
    "user_id": "user",
    "into": "p",
    "transform": {"function": "hooks:f", "columns": {"full": "string", "age": "integer"}},
    "columns": {
        "user": "integer",
        "first": "string",
        "born": "date",
        "raw": "binary",
        "money": {"type": "decimal", "scale": 2},
    },
    "fields": ["first", "full", "age", "raw", "money"],
}
ROWS: list[dict[str, Any]] = [
    {"user": 1, "first": "Ann", "born": "2000-01-01", "raw": b"\x01\x02", "money": "1.00"},
    {"user": 2, "first": "Bob", "born": "2001-01-01", "raw": b"\x03\x04"},
]


def hooked(hook: Any, rows: list[dict[str, Any]] = ROWS, chunk: int = 1000, **more: Any) -> Merged:
    plan = plan_for(datasets={"s.p": {**PERSON, **more}})
    made = merge(plan, {"s.user": USERS, "s.p": rows}, chunk, {"s.p": hook})
    assert made.counts["s.p"].balanced
    return made


def told(made: Merged) -> dict[str, Any]:
    return {user: profile["p"] for user, profile in made.profiles.items()}


def with_names(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(full=rows["first"] + "!", age=30)


ANN = {"first": "Ann", "full": "Ann!", "age": 30, "raw": "AQI=", "money": "1.00"}
BOB = {"first": "Bob", "full": "Bob!", "age": 30, "raw": "AwQ="}


@pytest.mark.parametrize("chunk", [1, 1000])
def test_a_hook_adds_columns(chunk: int) -> None:
    assert told(hooked(with_names, chunk=chunk)) == {"1": ANN, "2": BOB}


def test_a_hook_may_turn_the_rows_round() -> None:
    assert told(hooked(lambda rows: with_names(rows).iloc[::-1])) == {"1": ANN, "2": BOB}


def test_a_hook_may_leave_rows_out() -> None:
    made = hooked(lambda rows: with_names(rows[rows["first"] == "Bob"]))
    assert told(made) == {"1": None, "2": BOB}
    assert made.counts["s.p"].filtered == {"transform": 1}
    made = hooked(lambda rows: with_names(rows.iloc[:0]))
    assert told(made) == {"1": None, "2": None}
    assert made.counts["s.p"].filtered == {"transform": 2}


def test_a_hook_sees_typed_values_and_no_bad_rows() -> None:
    seen: list[pd.DataFrame] = []

    def look(rows: pd.DataFrame) -> pd.DataFrame:
        seen.append(rows)
        return with_names(rows)

    made = hooked(look, [*ROWS, {"user": 2, "first": "Bad", "born": "x"}])
    assert seen[0]["first"].to_list() == ["Ann", "Bob"]
    assert list(seen[0].columns) == list(PERSON["columns"])
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in seen[0].dtypes)
    assert str(seen[0]["born"][1]) == "2000-01-01"
    assert made.counts["s.p"].quarantined == {("not_a_date", "born"): 1}


def test_what_a_hook_gives_is_cast_and_judged_like_any_value() -> None:
    made = hooked(lambda rows: rows.assign(full=[5, 6], age=["7", "old"]))
    assert told(made)["1"] == {**ANN, "full": "5", "age": 7}
    assert told(made)["2"] is None
    assert made.counts["s.p"].quarantined == {("not_an_integer", "age"): 1}


def test_where_sees_what_a_hook_made() -> None:
    made = hooked(with_names, where="\"full\" = 'Ann!'")
    assert told(made) == {"1": ANN, "2": None}


def raising(error: Exception) -> Any:
    def hook(rows: pd.DataFrame) -> pd.DataFrame:
        raise error

    return hook


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (raising(ValueError("Ann")), "ValueError"),
        (raising(TypeError("can't take Ann")), "TypeError"),
        (raising(ConfigError("Ann")), "ConfigError"),
        (lambda rows: None, "no DataFrame"),
        (lambda rows: rows, "no column full, age"),
        (lambda rows: with_names(rows).drop(columns="first"), "no column first"),
        (lambda rows: with_names(rows).reset_index(drop=True), "keep the index"),
        (
            lambda rows: with_names(rows).set_index("user", drop=False).rename(lambda n: n + 7),
            "index",
        ),
        (lambda rows: pd.concat([with_names(rows)] * 2), "keep the index"),
        (lambda rows: pd.concat([with_names(rows)] * 2, ignore_index=True), "keep the index"),
        (lambda rows: with_names(rows).assign(age=[{"a"}, "Ann"]), "Arrow"),
        (lambda rows: with_names(rows).assign(age=[1, "Ann"]), "Arrow"),
        (lambda rows: pd.concat([with_names(rows), rows], axis=1), "ValueError"),
    ],
)
def test_a_hook_that_fails_ends_the_run_and_shows_no_value(hook: Any, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        hooked(hook)
    assert str(raised.value).startswith("s.p: transform hooks:f failed: ")
    assert said in str(raised.value)
    assert "Ann" not in str(raised.value)


BRANCH = {
    "columns": {
        "nr": "integer",
        "city": "string",
        "country": "string",
        "more": "json",
        "tags": "string[]",
        "rate": {"type": "decimal", "scale": 2},
        "since": "date",
        "rank": "integer",
    }
}
COUNTRY = {"columns": {"code": "string", "name": "string"}}
VISIT = {
    "user_id": "user",
    "into": "visits[]",
    "columns": {"user": "integer", "id": "integer", "at": "integer"},
    "lookups": {
        "land": {"dataset": "s.country", "on": "branch.country", "key": "code"},
        "branch": {"dataset": "s.branch", "on": "at", "key": "nr"},
    },
}
LOOKED_UP: dict[str, list[dict[str, Any]]] = {
    "s.user": USERS,
    "s.branch": [
        {
            "nr": 1,
            "city": "B",
            "country": "de",
            "more": '{"open":[8,18]}',
            "tags": '["x"]',
            "rate": "1.5",
            "since": "2001-01-01",
            "rank": 2,
        },
        {"nr": 2, "city": "A", "country": "xx", "rate": "2.50", "since": "2000-01-01", "rank": 1},
        {"nr": 3, "city": "C"},
        {"nr": 3, "city": "D"},
        {"nr": None, "city": "E"},
        {"nr": 4, "city": "F", "since": "x"},
    ],
    "s.country": [{"code": "de", "name": "Germany"}, {"code": None, "name": "Nowhere"}],
    "s.visit": [{"user": 1, "id": n, "at": at} for n, at in enumerate([1, 2, 3, 4, 9, None])],
}


def looked_up(fields: Any, **more: Any) -> Any:
    visit = {**VISIT, "fields": fields, **more}
    plan = plan_for(datasets={"s.visit": visit, "s.branch": BRANCH, "s.country": COUNTRY})
    made = merge(plan, LOOKED_UP)
    assert all(counts.balanced for counts in made.counts.values()), made.counts
    return made


def test_lookups_of_lookups_in_any_order_with_documents_and_without_a_match() -> None:
    fields = {
        "id": "id",
        "b": "branch.more",
        "t": "branch.tags",
        "c": "land.name",
        "r": "branch.rate",
    }
    made = looked_up(fields, order_by="id")
    nothing = {"b": None, "t": None, "c": None, "r": None}
    assert made.profiles["1"]["visits"] == [
        {"id": 0, "b": {"open": [8, 18]}, "t": ["x"], "c": "Germany", "r": "1.50"},
        {"id": 1, **nothing, "r": "2.50"},
        *({"id": n, **nothing} for n in (2, 3, 4, 5)),
    ]
    assert made.counts["s.branch"].quarantined == {
        ("duplicate", "nr"): 2,
        ("not_a_date", "since"): 1,
    }


def test_lookup_columns_in_order_conditions_formulas_values_and_groups() -> None:
    assert [
        visit["id"]
        for visit in looked_up(["id"], order_by=["branch.city", "id"]).profiles["1"]["visits"]
    ] == [1, 0, 2, 3, 4, 5]
    fields = {"id": "id", "f": {"derive": '"branch.city" || \'-\' || "land.name"'}}
    made = looked_up(fields, where='"branch.rank" >= 1', order_by="id")
    assert made.profiles["1"]["visits"] == [{"id": 0, "f": "B-Germany"}, {"id": 1, "f": None}]
    assert made.counts["s.visit"].filtered == {"where": 4}
    plain = looked_up({}, value="branch.more", where='"branch.nr" < 2', order_by="id")
    assert plain.profiles["1"]["visits"] == [{"open": [8, 18]}]
    groups = {"id": "id", "at.city": "branch.city", "at.rank": "branch.rank"}
    made = looked_up(groups, where="id < 2 OR id = 4", order_by="id")
    assert made.profiles["1"]["visits"] == [
        {"id": 0, "at": {"city": "B", "rank": 2}},
        {"id": 1, "at": {"city": "A", "rank": 1}},
        {"id": 4, "at": None},
    ]


def test_lookup_columns_in_aggregates() -> None:
    fields = {
        "n": {"aggregate": "count", "of": "branch.city"},
        "sum": {"aggregate": "sum", "of": "branch.rate"},
        "ranks": {"aggregate": "sum", "of": "branch.rank", "where": {"land.name": "Germany"}},
        "last": {"aggregate": "latest", "of": "branch.more", "by": "branch.since"},
        "first": {"aggregate": "min", "of": "branch.since"},
    }
    made = looked_up(fields, into="visits")
    assert made.profiles["1"]["visits"] == {
        "n": 2,
        "sum": "4.00",
        "ranks": 2,
        "last": {"open": [8, 18]},
        "first": "2000-01-01",
    }


def test_a_lookup_in_an_empty_table_finds_nothing() -> None:
    visit = {**VISIT, "fields": {"c": "land.name", "r": "branch.rate"}}
    plan = plan_for(datasets={"s.visit": visit, "s.branch": BRANCH, "s.country": COUNTRY})
    made = merge(plan, {"s.user": USERS, "s.visit": LOOKED_UP["s.visit"][:1]})
    assert made.profiles["1"]["visits"] == [{"c": None, "r": None}]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"lookups": {"branch": {"dataset": "s.branch", "on": "at", "key": "city"}}},
            "lookup on at",
        ),
        (
            {"fields": {"s": {"aggregate": "sum", "of": "branch.city"}}, "into": "v"},
            "can't be added up",
        ),
        (
            {
                "lookups": {
                    "branch": {"dataset": "s.branch", "on": "land.name", "key": "city"},
                    "land": {"dataset": "s.country", "on": "branch.country", "key": "code"},
                },
                "fields": {"c": "land.name"},
            },
            "waits for its own column",
        ),
        ({"where": {"branch.rank": "x"}}, "where"),
        ({"order_by": "nothing"}, "nothing"),
        ({"where": "branch.rank > 1"}, "double quotes"),
    ],
)
def test_check_tells_why_a_lookup_can_not_be(more: dict[str, Any], said: str) -> None:
    visit = {**VISIT, "fields": ["id"], **more}
    used = {**visit["lookups"], "land": visit["lookups"].get("land", VISIT["lookups"]["land"])}
    visit["lookups"] = used if "branch" in used else visit["lookups"]
    problems = problems_for(datasets={"s.visit": visit, "s.branch": BRANCH, "s.country": COUNTRY})
    assert any(said in problem for problem in problems), problems


def test_rows_a_condition_leaves_out_do_not_serve_links_or_lookups() -> None:
    branch = {**BRANCH, "where": "city <> 'B'"}
    plan = plan_for(
        datasets={
            "s.visit": {**VISIT, "fields": {"c": "branch.city"}, "order_by": "id"},
            "s.branch": branch,
            "s.country": COUNTRY,
        }
    )
    made = merge(plan, LOOKED_UP)
    assert made.profiles["1"]["visits"][:2] == [{"c": None}, {"c": "A"}]
    assert made.counts["s.branch"].filtered == {"where": 1}
    assert made.counts["s.branch"].balanced
