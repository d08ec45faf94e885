"""Merge: where rows stand in the profile, at any depth, and what stands where there are none."""

from __future__ import annotations

from typing import Any

import pytest
from bank import USERS, merge, plan_for, problems_for, profiles

PROFILE = {"anchor": "s.user"}


def listed(into: str, *columns: str, **more: Any) -> dict[str, Any]:
    """A dataset whose columns are all integers, its fields all but the user."""
    return {
        "user_id": "user",
        "into": into,
        "columns": {"user": "integer", **dict.fromkeys(columns, "integer")},
        "fields": list(columns),
        **more,
    }


THREE_LEVELS = {
    "s.a": listed("a[]", "x"),
    "s.b": listed("a[x].b[]", "x", "y"),
    "s.c": listed("a[x].b[y].c[]", "x", "y", "z"),
    "s.d": listed("a[x].b[y].c[z].d[]", "x", "y", "z", "n"),
}


def test_lists_in_lists_by_the_keys_of_every_level() -> None:
    rows = {
        "s.user": USERS,
        "s.a": [{"user": 1, "x": 1}, {"user": 1, "x": 2}, {"user": 2, "x": 1}],
        "s.b": [
            {"user": 1, "x": 1, "y": 1},
            {"user": 1, "x": 2, "y": 1},  # the same y in another x
            {"user": 2, "x": 1, "y": 1},
        ],
        "s.c": [{"user": 1, "x": x, "y": 1, "z": 1} for x in (1, 2)],
        "s.d": [
            {"user": 1, "x": 2, "y": 1, "z": 1, "n": 5},
            {"user": 1, "x": 2, "y": 1, "z": 1, "n": 4},
            {"user": 1, "x": 1, "y": 1, "z": 1, "n": 6},
            {"user": 2, "x": 1, "y": 1, "z": 1, "n": 7},
        ],
    }
    made = merge(plan_for(datasets=THREE_LEVELS), rows)

    def branch(x: int, *n: int) -> dict[str, Any]:
        leaves = [{"x": x, "y": 1, "z": 1, "n": m} for m in n]
        return {"x": x, "b": [{"x": x, "y": 1, "c": [{"x": x, "y": 1, "z": 1, "d": leaves}]}]}

    assert made.profiles["1"]["a"] == [branch(1, 6), branch(2, 4, 5)]
    assert made.profiles["2"]["a"] == [{"x": 1, "b": [{"x": 1, "y": 1, "c": []}]}]
    assert made.counts["s.d"].quarantined == {("no_element", "x,y,z"): 1}
    assert all(counts.balanced for counts in made.counts.values())


def test_an_inner_key_alone_finds_the_element_in_any_outer_one() -> None:
    datasets = {**THREE_LEVELS, "s.c": listed("a[].b[y].c[]", "y", "z")}
    del datasets["s.d"]
    rows = {
        "s.user": USERS,
        "s.a": [{"user": 1, "x": 1}, {"user": 1, "x": 2}],
        "s.b": [{"user": 1, "x": 1, "y": 1}, {"user": 1, "x": 2, "y": 2}],
        "s.c": [{"user": 1, "y": 2, "z": 7}, {"user": 1, "y": 1, "z": 8}],
    }
    made = profiles(rows, datasets=datasets)["1"]["a"]
    assert made[0]["b"][0]["c"] == [{"y": 1, "z": 8}]
    assert made[1]["b"][0]["c"] == [{"y": 2, "z": 7}]
    rows["s.b"][1]["y"] = 1  # now two elements have it
    counts = merge(plan_for(datasets=datasets), rows).counts["s.c"]
    assert counts.quarantined == {("ambiguous_element", "y"): 1, ("no_element", "y"): 1}


def test_outer_keys_by_other_names_and_from_columns_that_are_no_fields() -> None:
    datasets = {
        "s.a": listed("shop.a[]", "nr", "other", fields={"id": "nr"}),
        "s.b": listed("shop.a[id=account].b[]", "account", "k", fields={"kk": "k"}),
        "s.c": listed("shop.a[id=acc].b[kk=bk].in.c[]", "acc", "bk", "v", fields=["v"]),
        "s.o": listed("shop.a[id=acc].b[kk=bk].one", "acc", "bk", "v", fields=["v"]),
        "s.n": listed("shop.a[other].more", "other", "v", fields=["v"]),
    }
    rows = {
        "s.user": USERS[:1],
        "s.a": [{"user": 1, "nr": 1, "other": 11}, {"user": 1, "nr": 2, "other": 22}],
        "s.b": [{"user": 1, "account": 1, "k": 5}, {"user": 1, "account": 2, "k": 5}],
        "s.c": [{"user": 1, "acc": 2, "bk": 5, "v": 1}],
        "s.o": [{"user": 1, "acc": 1, "bk": 5, "v": 2}],
        "s.n": [{"user": 1, "other": 22, "v": 3}],
    }
    assert profiles(rows, datasets=datasets)["1"]["shop"]["a"] == [
        {"id": 1, "b": [{"kk": 5, "in": {"c": []}, "one": {"v": 2}}], "more": None},
        {"id": 2, "b": [{"kk": 5, "in": {"c": [{"v": 1}]}, "one": None}], "more": {"v": 3}},
    ]


def test_keys_of_two_columns_formulas_and_columns_of_lookups() -> None:
    datasets = {
        "s.a": listed("a[]", "bank", "nr", fields={"b": "bank", "n": {"derive": "nr * 10"}}),
        "s.b": listed(
            "a[b=bank, n=look.ten].l[]",
            "bank",
            "nr",
            "v",
            fields=["v"],
            lookups={"look": {"dataset": "s.look", "on": "nr", "key": "one"}},
        ),
        "s.look": {"columns": {"one": "integer", "ten": "integer"}},
    }
    rows = {
        "s.user": USERS[:1],
        "s.a": [{"user": 1, "bank": b, "nr": n} for b in (1, 2) for n in (1, 2)],
        "s.b": [{"user": 1, "bank": 2, "nr": 1, "v": 9}],
        "s.look": [{"one": 1, "ten": 10}],
    }
    assert profiles(rows, datasets=datasets)["1"]["a"] == [
        {"b": 1, "n": 10, "l": []},
        {"b": 1, "n": 20, "l": []},
        {"b": 2, "n": 10, "l": [{"v": 9}]},
        {"b": 2, "n": 20, "l": []},
    ]


def test_a_list_of_two_datasets_with_lists_aggregates_and_values_inside() -> None:
    datasets = {
        "s.old": listed("a[]", "id", "x", fields={"id": "id", "only.old": "x"}),
        "s.new": listed("a[]", "id", "y", "z", fields={"only.new": "y", "id": "id", "z": "z"}),
        "s.sum": listed(
            "a[id=a].sum",
            "a",
            "n",
            fields={"n": {"aggregate": "count"}, "total": {"aggregate": "sum", "of": "n"}},
        ),
        "s.val": listed("a[id=a].plain[]", "a", "n", fields={}, value="n", order_by="n desc"),
        "s.ext": listed("a[id=a]", "a", "n", fields={"extra": "n", "only.ext": "n"}),
    }
    rows = {
        "s.user": USERS[:1],
        "s.old": [{"user": 1, "id": 1, "x": 7}],
        "s.new": [{"user": 1, "id": 2, "y": 8, "z": None}],
        "s.sum": [{"user": 1, "a": 2, "n": n} for n in (1, 2)],
        "s.val": [{"user": 1, "a": 1, "n": n} for n in (1, None, 3)],
        "s.ext": [{"user": 1, "a": 2, "n": 4}],
    }
    assert profiles(rows, datasets=datasets)["1"]["a"] == [
        {
            "id": 1,
            "only": {"old": 7, "ext": None},
            "sum": None,
            "plain": [3, 1, None],
            "extra": None,
        },
        {
            "id": 2,
            "only": {"new": 8, "ext": 4},
            "z": None,
            "sum": {"n": 2, "total": 3},
            "plain": [],
            "extra": 4,
        },
    ]


@pytest.mark.parametrize(
    ("into", "empty", "stands"),
    [
        ("o", None, None),
        ("o", "null", None),
        ("o", "object", {}),
        ("o", "list", []),
        ("o", "absent", ...),
        ("o[]", None, []),
        ("o[]", "null", None),
        ("o[]", "object", {}),
        ("o[]", "list", []),
        ("o[]", "absent", ...),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("any_rows", [False, True])
def test_what_stands_where_a_user_or_an_element_has_no_rows(
    into: str, empty: str | None, stands: Any, inside: bool, any_rows: bool
) -> None:
    more = {} if empty is None else {"empty": empty}
    path = f"a[id=a].{into}" if inside else into
    datasets = {"s.a": listed("a[]", "id"), "s.o": listed(path, "a", "n", fields=["n"], **more)}
    rows = {
        "s.user": USERS,
        "s.a": [{"user": 1, "id": 1}, {"user": 2, "id": 2}],
        "s.o": [{"user": 2, "a": 2, "n": 5}] if any_rows else [],
    }
    made = profiles(rows, datasets=datasets)
    around = made["1"]["a"][0] if inside else made["1"]
    assert around.get("o", ...) == stands
    if any_rows:
        around = made["2"]["a"][0] if inside else made["2"]
        assert around["o"] == ([{"n": 5}] if into == "o[]" else {"n": 5})


def test_an_object_that_holds_others_is_never_null() -> None:
    datasets = {
        "s.o": listed("o", "n"),
        "s.l": listed("o.deep.down.l[]", "n"),
        "s.p": listed("p.q", "n", empty="absent"),
    }
    assert profiles({"s.user": USERS[:1]}, datasets=datasets)["1"] == {
        "o": {"n": None, "deep": {"down": {"l": []}}},
        "p": {},
    }


def test_items_stand_in_the_order_of_the_file() -> None:
    datasets = {
        "s.z": listed("z.inner[]", "b", "a"),
        "s.k": listed("a[n].inner", "n"),
        "s.a": listed("a[]", "n", "m"),
        "s.y": listed("z", "d", "c", fields={"x.d": "d", "c": "c", "x.e": "c"}),
    }
    rows = {
        "s.user": USERS[:1],
        "s.z": [{"user": 1, "a": 1, "b": 2}],
        "s.a": [{"user": 1, "n": 3, "m": 4}],
        "s.y": [{"user": 1, "d": 5, "c": 6}],
    }
    body = merge(plan_for(datasets=datasets), rows).bodies["1"]
    assert body == (
        b'{"user_id":1,"me":{"id":1},"z":{"inner":[{"b":2,"a":1}],"x":{"d":5,"e":6},"c":6},'
        b'"a":[{"inner":null,"n":3,"m":4}]'
    )


def test_rows_at_the_top_of_the_profile() -> None:
    top = {
        **listed("."),
        "columns": {"user": "integer", "n": "integer"},
        "fields": {"n": "n", "g.n": "n"},
    }
    assert profiles({"s.user": USERS, "s.t": [{"user": 1, "n": 3}]}, datasets={"s.t": top}) == {
        "1": {"n": 3, "g": {"n": 3}},
        "2": {"n": None, "g": None},
    }


SECRETS = {
    "s.login": {
        "user_id": "user",
        "into": "auth.login",
        "columns": {"user": "integer", "name": "string", "pin": "string"},
        "fields": {
            "name": None,
            "deep.pin": {"column": "pin", "class": "secret"},
            "deep.n": "name",
        },
    },
    "s.token": {
        "user_id": "user",
        "into": "auth.token",
        "columns": {"user": "integer", "t": "string"},
        "fields": {"t": {"class": "secret"}},
    },
}


def test_secrets_go_to_the_credential_and_nothing_else_does() -> None:
    rows = {
        "s.user": [*USERS, {"id": 3}],
        "s.login": [
            {"user": 1, "name": "a", "pin": "s3cret"},
            {"user": 2, "name": "b", "pin": None},
        ],
        "s.token": [{"user": 1, "t": 't"'}],
    }
    made = merge(plan_for(datasets=SECRETS), rows)
    assert made.profiles == {
        "1": {"me": {"id": 1}, "auth": {"login": {"name": "a", "deep": {"n": "a"}}}},
        "2": {"me": {"id": 2}, "auth": {"login": {"name": "b", "deep": {"n": "b"}}}},
        "3": {"me": {"id": 3}, "auth": {"login": None}},
    }
    assert made.secrets == {
        "1": {"auth": {"login": {"deep": {"pin": "s3cret"}}, "token": {"t": 't"'}}},
        "2": {"auth": {"login": {"deep": {"pin": None}}, "token": {"t": None}}},
    }
    assert made.credentials["1"] is not None
    assert made.credentials["1"].startswith(b'{"user_id":1,"auth"')


def test_no_secrets_where_no_row_has_any() -> None:
    made = merge(plan_for(datasets=SECRETS), {"s.user": USERS})
    assert made.profiles["1"]["auth"] == {"login": None}
    assert made.credentials == {"1": None, "2": None}


FEEDS = {
    "a.p": {
        "user_id": "user",
        "into": "p",
        "cursor": "at",
        "columns": {"user": "integer", "v": "string", "j": "json", "at": "timestamp"},
        "fields": {"v": "v", "g.j": "j", "mine": {"constant": 1}},
    },
}
FEEDS["b.p"] = {**FEEDS["a.p"], "fields": {"g.j": "j", "v": "v"}}
T = ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]


@pytest.mark.parametrize(
    ("rule", "a", "b", "wins"),
    [
        ({"prefer": ["a", "b"]}, ("x", 0), ("y", 1), "x"),
        ({"prefer": ["b"]}, ("x", 0), ("y", 0), "y"),
        ({"prefer": "b.p"}, ("x", 0), (None, 1), "x"),
        ({"prefer": "a"}, ("", 0), ("y", 1), ""),
        ({"prefer": "a"}, (None, 0), (None, 0), None),
        ({"prefer": "a"}, None, ("y", 0), "y"),
        ({"prefer": "a"}, None, None, None),
        ({"prefer": "a", "policy": "latest"}, ("x", 0), ("y", 1), "y"),
        ({"prefer": "a", "policy": "latest"}, ("x", 1), ("y", 1), "x"),
        ({"prefer": "b", "policy": "latest"}, ("x", 1), ("y", 1), "y"),
        ({"prefer": "a", "policy": "latest"}, ("x", 0), (None, 1), "x"),
        ({"prefer": "a", "policy": "latest"}, ("x", None), ("y", 0), "y"),
        ({"prefer": "b", "policy": "latest"}, ("x", None), ("y", None), "y"),
        ({"prefer": "a", "policy": "latest"}, ("x", None), (None, 1), "x"),
        ({"prefer": "a", "policy": "latest"}, None, ("y", None), "y"),
        ({"prefer": "a", "policy": "latest"}, (None, 1), None, None),
    ],
)
def test_survivorship(rule: dict[str, Any], a: Any, b: Any, wins: str | None) -> None:
    def rows(given: tuple[str | None, int | None] | None) -> list[dict[str, Any]]:
        if given is None:
            return []
        value, time = given
        document = None if value is None else f'{{"v": "{value}"}}'
        at = None if time is None else T[time]
        return [{"user": 1, "v": value, "j": document, "at": at}]

    made = profiles(
        {"s.user": USERS[:1], "a.p": rows(a), "b.p": rows(b)},
        sources={name: {"kind": "mongodb", "url": "x"} for name in "sab"},
        datasets=FEEDS,
        survivorship={"p.v": rule, "p.g.j": rule},
    )["1"]["p"]
    if a is None and b is None:
        assert made is None
    else:
        document = None if wins is None else {"v": wins}
        assert made == {"v": wins, "g": {"j": document}, "mine": 1 if a else None}


def test_the_latest_of_three_that_is_not_null_wins() -> None:
    datasets = {f"{s}.p": {**FEEDS["a.p"], "fields": ["v"]} for s in "abc"}
    rows = {
        f"{s}.p": [{"user": 1, "v": v, "at": at}]
        for s, v, at in (
            ("a", "x", "2024-01-01T00:00:00Z"),
            ("b", "y", "2024-01-02T00:00:00Z"),
            ("c", None, "2024-01-03T00:00:00Z"),
        )
    }
    made = profiles(
        {"s.user": USERS[:1], **rows},
        sources={name: {"kind": "mongodb", "url": "x"} for name in "sabc"},
        datasets=datasets,
        survivorship={"p.v": {"prefer": "a", "policy": "latest"}},
    )
    assert made["1"]["p"] == {"v": "y"}


def test_survivorship_inside_list_elements() -> None:
    datasets = {
        "s.a": listed("a[]", "id"),
        "s.one": listed("a[id=a].o", "a", "v", fields=["v"]),
        "s.two": listed("a[id=a].o", "a", "v", fields=["v"]),
    }
    parts: dict[str, Any] = {"datasets": datasets, "survivorship": {"a.o.v": "s.two"}}
    rows = {
        "s.user": USERS[:1],
        "s.a": [{"user": 1, "id": n} for n in (1, 2, 3)],
        "s.one": [{"user": 1, "a": n, "v": 10 + n} for n in (1, 2)],
        "s.two": [{"user": 1, "a": n, "v": 20 + n} for n in (2,)],
    }
    assert profiles(rows, **parts)["1"]["a"] == [
        {"id": 1, "o": {"v": 11}},
        {"id": 2, "o": {"v": 22}},
        {"id": 3, "o": None},
    ]


SECRET_V = {"v": {"class": "secret"}}


@pytest.mark.parametrize(
    ("datasets", "more", "said"),
    [
        (
            {"s.a": listed("a[]", "x"), "s.b": listed("a[y].b[]", "y")},
            {},
            "can't tell the type of 'y'",
        ),
        ({"s.b": listed("a[x].b[]", "x")}, {}, "no dataset makes the list 'a'"),
        ({"s.a": listed("a[]", "x"), "s.b": listed("a[x]", "x")}, {}, "is fed by another dataset"),
        ({"s.a": listed("a", "x"), "s.b": listed("a[]", "x")}, {}, "is an object elsewhere"),
        ({"s.a": listed("a[]", "x"), "s.b": listed("a", "x")}, {}, "'a' is an object elsewhere"),
        ({"s.a": listed("o", "x"), "s.b": listed("o", "x")}, {}, "say under `survivorship`"),
        (
            {**THREE_LEVELS, "s.b": listed("a[].b[]", "x", "y")},
            {},
            "say which element of 'a' a row belongs to",
        ),
        (
            {**THREE_LEVELS, "s.c": listed("a[].b[y].c[]", "x", "y", "z")},
            {},
            "a[x]: s.c must say the same in its `into`",
        ),
        (
            {
                "s.a": listed("a[]", "x"),
                "s.b": listed("a[x].b[]", "x"),
                "s.c": listed("a[x].b[x].c[]", "x"),
            },
            {},
            "key of one list only",
        ),
        (
            {
                "s.a": listed("a[]", "x"),
                "s.b": {
                    **listed("a[x].b[]"),
                    "columns": {"user": "integer", "x": "string"},
                    "fields": ["x"],
                },
            },
            {},
            "into: x is String, but x of s.a is Int64",
        ),
        (
            {"s.a": listed("o", "v"), "s.b": listed(".", "w", fields={"o.v": "w"})},
            {},
            "is made by a field of s.b",
        ),
        (
            {"s.b": listed(".", "w", fields={"o.v": "w"}), "s.a": listed("o", "u")},
            {},
            "is made by a field of s.b",
        ),
        ({"s.a": listed("user_id", "v")}, {}, "the pipeline's own field"),
        ({"s.a": listed("a[]", "v", fields=SECRET_V)}, {}, "a secret must stand in an object"),
        (
            {"s.a": listed("a[]", "x"), "s.b": listed("a[x].o", "x", "v", fields=SECRET_V)},
            {},
            "a secret must stand",
        ),
        (
            {"s.a": listed("o", "v", fields=SECRET_V), "s.b": listed("o", "v")},
            {"survivorship": {"o.v": "s"}},
            "secret in one dataset and not in another",
        ),
        (
            {"s.a": listed("o", "v"), "s.b": listed("o", "v")},
            {"survivorship": {"o.w": "s"}},
            "no dataset feeds such a field",
        ),
        (
            {"s.a": listed("o", "v"), "s.b": listed("o", "v")},
            {"survivorship": {"o.v": {"prefer": "s", "policy": "latest"}}},
            "needs a `cursor`",
        ),
        (
            {
                "s.a": listed("o", "v", cursor="v"),
                "s.b": {
                    **listed("o", "v", cursor="d"),
                    "columns": {"user": "integer", "v": "integer", "d": "date"},
                },
            },
            {"survivorship": {"o.v": {"prefer": "s", "policy": "latest"}}},
            "the cursors of its sources are Date and Int64",
        ),
        (
            {
                "s.a": listed("o", "v"),
                "s.b": listed(
                    "o",
                    "n",
                    fields={"v": {"aggregate": "min", "of": "d"}},
                    columns={"user": "integer", "d": "date"},
                ),
            },
            {"survivorship": {"o.v": "s"}},
            "its sources give Date and Int64",
        ),
        (
            {
                "s.a": listed("o", "v", cursor="v"),
                "s.b": listed("o", "v", cursor="v", fields={"v": {"aggregate": "count"}}),
            },
            {"survivorship": {"o.v": {"prefer": "s", "policy": "latest"}}},
            "aggregates are made of many",
        ),
        (
            {"s.a": listed("a[]", "v", fields={}, value="v"), "s.b": listed("a[v].b[]", "v")},
            {},
            "plain values",
        ),
        (
            {"s.a": listed("a[]", "x"), "s.b": listed("a[x].o", "x", required=True)},
            {},
            "`required` is for what belongs to the user",
        ),
    ],
)
def test_check_tells_why_a_place_can_not_be(
    datasets: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    try:
        problems = problems_for(datasets=datasets, **more)
    except ValueError as error:
        problems = [str(error)]
    assert any(said in problem for problem in problems), problems
