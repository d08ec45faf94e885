"""Fields: aggregates with filters, constants, formulas, null and absent, and how each is encoded."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bank import USERS, merge, plan_for, problems_for, profiles

from core.values import ColumnType
from transforms.kept_numbers import is_kept
from transforms.resolve import resolved

PAYMENT = {
    "user_id": "user",
    "into": "paid",
    "columns": {
        "user": "integer",
        "amount": {"type": "decimal", "scale": 2},
        "n": "integer",
        "x": "number",
        "day": "date",
        "shop": "string",
        "kind": "string",
        "more": "json",
    },
}
PAYMENTS: list[dict[str, Any]] = [
    {"user": 1, "amount": "10.50", "n": 3, "day": "2024-01-02", "shop": "b", "kind": "in"},
    {"user": 1, "amount": "-0.50", "n": None, "day": "2024-03-01", "shop": None, "kind": "out"},
    {"user": 1, "amount": "2.00", "n": 5, "day": "2024-02-01", "shop": "a", "kind": None},
]
NOTHING = {"user": 2, "kind": "none"}


def aggregated(fields: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    return profiles({"s.user": USERS, "s.p": rows}, datasets={"s.p": {**PAYMENT, "fields": fields}})


@pytest.mark.parametrize(
    ("field", "of_all", "of_none"),
    [
        ({"aggregate": "count"}, 3, 1),
        ({"aggregate": "count", "of": "n"}, 2, 0),
        ({"aggregate": "count", "where": {"kind": "in"}}, 1, 0),
        ({"aggregate": "count", "of": "shop", "where": "amount > 1"}, 2, 0),
        ({"aggregate": "sum", "of": "amount"}, "12.00", "0.00"),
        ({"aggregate": "sum", "of": "n"}, 8, 0),
        ({"aggregate": "sum", "of": "amount", "where": {"kind": ["in", "out"]}}, "10.00", "0.00"),
        ({"aggregate": "min", "of": "day"}, "2024-01-02", None),
        ({"aggregate": "min", "of": "amount", "where": "amount > 0"}, "2.00", None),
        ({"aggregate": "max", "of": "shop"}, "b", None),
        ({"aggregate": "max", "of": "n", "where": {"kind": "in"}}, 3, None),
        ({"aggregate": "latest", "of": "amount", "by": "day"}, "-0.50", None),
        ({"aggregate": "latest", "of": "shop", "by": "day"}, None, None),
        (
            {"aggregate": "latest", "of": "shop", "by": "day", "where": "shop IS NOT NULL"},
            "a",
            None,
        ),
    ],
)
def test_an_aggregate(field: dict[str, Any], of_all: Any, of_none: Any) -> None:
    made = aggregated({"a": field}, [*PAYMENTS, NOTHING])
    assert made == {"1": {"paid": {"a": of_all}}, "2": {"paid": {"a": of_none}}}


def test_a_user_without_rows_has_no_aggregate() -> None:
    assert aggregated({"a": {"aggregate": "count"}}, PAYMENTS)["2"] == {"paid": None}


def test_the_latest_of_rows_with_the_same_time_is_the_greatest_and_without_a_time_comes_last() -> (
    None
):
    field = {"last": {"aggregate": "latest", "of": "shop", "by": "day"}}
    same = [{"user": 1, "day": "2024-01-01", "shop": shop} for shop in ("b", "c", "a")]
    undated = {"user": 1, "day": None, "shop": "z"}
    assert aggregated(field, [undated, *same])["1"] == {"paid": {"last": "c"}}
    assert aggregated(field, [undated])["1"] == {"paid": {"last": "z"}}


def test_the_latest_document_is_still_json() -> None:
    rows = [
        {"user": 1, "day": "2024-01-01", "more": '{"old":1}'},
        {"user": 1, "day": "2024-01-02", "more": '{"new":[1,{"deep":null}]}'},
    ]
    made = aggregated({"last": {"aggregate": "latest", "of": "more", "by": "day"}}, rows)
    assert made["1"] == {"paid": {"last": {"new": [1, {"deep": None}]}}}


def test_formulas_over_aggregates_see_the_fields_before_them() -> None:
    fields = {
        "got": {"aggregate": "sum", "of": "amount", "where": {"kind": "in"}},
        "gave": {"aggregate": "sum", "of": "amount", "where": {"kind": "out"}},
        "bank": {"constant": "X"},
        "net": {"derive": "got + gave"},
        "double": {"derive": "net + net"},
        "good": {"derive": "net > 5"},
    }
    assert aggregated(fields, [*PAYMENTS, NOTHING]) == {
        "1": {
            "paid": {
                "got": "10.50",
                "gave": "-0.50",
                "bank": "X",
                "net": "10.00",
                "double": "20.00",
                "good": True,
            }
        },
        "2": {
            "paid": {
                "got": "0.00",
                "gave": "0.00",
                "bank": "X",
                "net": "0.00",
                "double": "0.00",
                "good": False,
            }
        },
    }


def test_sums_of_doubles_do_not_depend_on_the_order() -> None:
    plan = plan_for(datasets={"s.p": {**PAYMENT, "fields": {"a": {"aggregate": "sum", "of": "x"}}}})
    numbers = [0.1, 1e16, 0.2, -1e16, 0.3]
    rows = [{"user": 1, "x": number} for number in numbers]
    one = merge(plan, {"s.user": USERS, "s.p": rows})
    other = merge(plan, {"s.user": USERS, "s.p": rows[::-1]}, chunk=2)
    assert one.bodies == other.bodies


def test_sums_of_doubles_that_stand_for_decimals_are_decimals_again() -> None:
    plan = plan_for(datasets={"s.p": {**PAYMENT, "fields": {"a": {"aggregate": "sum", "of": "x"}}}})
    told = {name: dict(entry.types) for name, entry in plan.datasets.items()}
    told["s.p"]["x"] = ColumnType("number", scale=2)  # as of a NUMERIC(10, 2)
    rows = [{"user": 1, "x": number} for number in (0.1, 0.2, 1234.56)]
    rows += [{"user": 2, "x": number} for number in (-0.3, 0.1, 0.2)]
    plan.datasets["s.p"].columns["x"].__dict__["type"] = None
    made = merge(resolved(plan, told), {"s.user": USERS, "s.p": rows})
    assert b'"a":1234.86' in made.bodies["1"]
    assert b'"a":0.0' in made.bodies["2"]


ONE = {"user_id": "user", "into": "o"}


def made_of(columns: dict[str, Any], fields: Any, row: dict[str, Any], **more: Any) -> Any:
    dataset = {**ONE, "columns": {"user": "integer", **columns}, "fields": fields, **more}
    rows = [{"user": 1, **row}]
    return profiles({"s.user": USERS[:1], "s.d": rows}, datasets={"s.d": dataset})["1"]["o"]


def test_constants_formulas_and_renames() -> None:
    made = made_of(
        {"a": "integer", "b": "string"},
        {
            "n": {"constant": 5},
            "text": {"constant": "x"},
            "yes": {"constant": True},
            "half": {"constant": 0.5},
            "a": None,
            "renamed": "b",
            "deep.er.still": "a",
            "upper": {"derive": "UPPER(b)"},
            "sign": {"derive": "CASE WHEN a < 0 THEN 'red' ELSE 'black' END"},
        },
        {"a": -7, "b": "abc"},
    )
    assert made == {
        "n": 5,
        "text": "x",
        "yes": True,
        "half": 0.5,
        "a": -7,
        "renamed": "abc",
        "deep": {"er": {"still": -7}},
        "upper": "ABC",
        "sign": "red",
    }


def test_a_list_of_constants_has_an_element_a_row() -> None:
    dataset = {
        "user_id": "user",
        "into": "o[]",
        "columns": {"user": "integer"},
        "fields": {"kind": {"constant": "k"}, "on": {"constant": False}},
    }
    rows = [{"user": 1}, {"user": 2}, {"user": 1}]
    made = profiles({"s.user": USERS, "s.d": rows}, datasets={"s.d": dataset})
    element = {"kind": "k", "on": False}
    assert made == {"1": {"o": [element, element]}, "2": {"o": [element]}}


def test_null_is_written_and_absent_is_left_out() -> None:
    fields = {"a": None, "b": None, "g.c": "c", "g.d": "d"}
    columns = dict.fromkeys("abcd", "string")
    assert made_of(columns, fields, {"a": None, "d": "x"}) == {"a": None, "g": {"d": "x"}}
    given = {"a": "1", "b": None, "c": None, "d": "2"}
    made = made_of(columns, fields, given)
    assert made == {"a": "1", "b": None, "g": {"c": None, "d": "2"}}


@pytest.mark.parametrize(
    "text",
    [
        'say "no"',
        "back\\slash",
        "a/b",
        "</script>",
        "line\u2028and\u2029paragraph",
        "tab\tnew\nline\r\b\f",
        "".join(map(chr, range(1, 32))),
        "\x7f\x80\x9f",
        "ä\u0301ß漢字\U0001f600\U0010ffff",
        "\ufeff\u200b\ufffe\uffff",
        '{"not":"json"}',
        " ",
        "",
        "null",
    ],
)
def test_texts_arrive_unchanged_in_orjsons_form(text: str) -> None:
    dataset = {
        **ONE,
        "columns": {"user": "integer", "t": "string"},
        "fields": {"t": "t", 'k"\n': "t"},
    }
    listed = {
        "user_id": "user",
        "into": "l[]",
        "columns": {"user": "integer", "t": "string"},
        "value": "t",
    }
    plan = plan_for(datasets={"s.d": dataset, "s.l": listed})
    rows = [{"user": 1, "t": text}]
    body = merge(plan, {"s.user": USERS[:1], "s.d": rows, "s.l": rows}).bodies["1"] + b"}"
    document = orjson.loads(body)
    assert document["o"] == {"t": text, 'k"\n': text}
    assert document["l"] == [text]
    assert orjson.dumps(document) == body


@pytest.mark.parametrize(
    ("declared", "given", "written"),
    [
        ({"type": "decimal", "scale": 2}, "1.5", b'"1.50"'),
        ({"type": "decimal", "scale": 0}, "-7", b'"-7"'),
        ({"type": "decimal"}, "1.50", b'"1.50"'),
        ("number", 1.5, b"1.5"),
        ("number", -0.0, b"0.0"),
        ("number", 123456789012345.0, b"123456789012345.0"),
        ("integer", 2**53, b"9007199254740992"),
        ("boolean", 1, b"true"),
        ("timestamp", "2024-02-29T23:59:59.120000+01:00", b'"2024-02-29T22:59:59.120Z"'),
        ("timestamp", "2024-02-29T23:59:59Z", b'"2024-02-29T23:59:59Z"'),
        ("date", "0044-03-15", b'"0044-03-15"'),
        ("json", '{"b": 1, "a": [null, "x"]}', b'{"b":1,"a":[null,"x"]}'),
        ("integer[]", "[3, 1]", b"[3,1]"),
    ],
)
def test_a_value_in_json(declared: Any, given: Any, written: bytes) -> None:
    dataset = {**ONE, "columns": {"user": "integer", "v": declared}, "fields": ["v"]}
    listed = {**dataset, "into": "l[]", "fields": {}, "value": "v"}
    plan = plan_for(datasets={"s.d": dataset, "s.l": listed})
    rows = [{"user": 1, "v": given}]
    body = merge(plan, {"s.user": USERS[:1], "s.d": rows, "s.l": rows}).bodies["1"]
    assert body.endswith(b'"o":{"v":' + written + b'},"l":[' + written + b"]")


def test_doubles_are_written_as_orjson_writes_them() -> None:
    numbers = [
        sign * 10.0**n * m for n in range(-320, 308) for m in (1, 1.5, 3) for sign in (1, -1)
    ]
    numbers += [5e-324, 1.7976931348623157e308, 2.0**53, 0.1 + 0.2, 0.0]
    numbers = [number for number in numbers if is_kept(number)]
    assert len(numbers) > 3_000
    listed = {
        "user_id": "user",
        "into": "l[]",
        "columns": {"user": "integer", "v": "number", "n": "integer"},
        "value": "v",
        "order_by": "n",
    }
    rows = [{"user": 1, "v": number, "n": n} for n, number in enumerate(numbers)]
    plan = plan_for(datasets={"s.l": listed})
    body = merge(plan, {"s.user": USERS[:1], "s.l": rows}).bodies["1"]
    assert body.endswith(b'"l":' + orjson.dumps(numbers))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"derive": "MAX(n)"}, "needs other rows"),
        ({"derive": "n - AVG(n)"}, "needs other rows"),
        ({"derive": "SUM(n) OVER (PARTITION BY kind)"}, "needs other rows"),
        ({"derive": "ROW_NUMBER()"}, "needs other rows"),
        ({"derive": "COUNT(*)"}, "needs other rows"),
        ({"derive": "n +"}, "no SQL expression"),
        ({"derive": "day - day"}, "Duration"),
        ({"derive": "CAST(shop AS TIMESTAMP)"}, "no form in JSON"),
        ({"derive": "shop + n + nothing"}, "nothing"),
        ({"derive": "UPPER(n)"}, "fields → f"),
        ({"aggregate": "sum", "of": "shop"}, "can't be added up"),
        ({"aggregate": "sum", "of": "amount", "where": "n"}, "not true or false"),
        ({"aggregate": "count", "where": "amount > AVG(amount)"}, "needs other rows"),
        ({"aggregate": "count", "where": {"n": "x"}}, "where"),
    ],
)
def test_check_tells_why_a_field_can_not_be(field: dict[str, Any], said: str) -> None:
    (problem,) = problems_for(datasets={"s.p": {**PAYMENT, "fields": {"f": field}}})
    assert said in problem
    assert "s.p" in problem


@pytest.mark.parametrize(
    "derive",
    [
        "ROUND(x, 2)",
        "n IN (1, 2)",
        "COALESCE(shop, kind)",
        "shop || '-' || kind",
        "day >= DATE '2024-01-01'",
        "EXTRACT(YEAR FROM day)",
        "GREATEST(n, 3)",
        "shop LIKE 'Len%'",
        "LENGTH(shop)",
    ],
)
def test_formulas_over_the_row_are_allowed(derive: str) -> None:
    assert problems_for(datasets={"s.p": {**PAYMENT, "fields": {"f": {"derive": derive}}}}) == []


def test_a_column_may_be_named_like_an_aggregate() -> None:
    columns = {"Len": "integer", "Agg": "string"}
    made = made_of(
        columns,
        {"f": {"derive": "Len + 1"}, "g": {"derive": "Agg || 'Len'"}},
        {"Len": 1, "Agg": "x"},
    )
    assert made == {"f": 2, "g": "xLen"}
