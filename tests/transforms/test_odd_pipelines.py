"""Pipelines unlike the examples: other kinds of ids, keys and depths, rows from a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pandas as pd
import pymongo
import pytest
from bank import merge, plan_for, problems_for
from bson import Decimal128, ObjectId

from connectors.registry import connector
from core.pipeline import Source
from core.plan import Plan

DATABASE = "odd_pipelines"


@pytest.fixture
def mongo(mongodb_url: str) -> Iterator[pymongo.database.Database[Any]]:
    with pymongo.MongoClient[Any](mongodb_url, uuidRepresentation="standard") as client:
        client.drop_database(DATABASE)
        yield client[DATABASE]
        client.drop_database(DATABASE)


def frames(plan: Plan, url: str) -> dict[str, pd.DataFrame]:
    """The rows of all datasets as the connector delivers them."""
    source = Source.model_validate({"kind": "mongodb", "url": url, "database": DATABASE})
    opened = connector("s", source)
    try:
        opened.open()
        read = {n: list(opened.read(entry.query, 2**16)) for n, entry in plan.datasets.items()}
    finally:
        opened.close()
    return {name: pd.concat(parts) for name, parts in read.items() if parts}


def test_nested_documents_with_uuids_as_user_ids(
    mongo: pymongo.database.Database[Any], mongodb_url: str
) -> None:
    one = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")
    two = UUID("ffffffff-0b0a-4908-8706-050403020100")
    mongo.guest.insert_many(
        [
            {
                "ident": {"key": one, "names": {"first": "Zoë", "last": None}},
                "home": {"geo": {"lat": 1.5}, "tags": ["a", 1, {"b": None}]},
                "stays": {
                    "list": [
                        {"nr": 1, "room": {"no": "1a", "extras": [{"x": 1}, {"x": 2}]}},
                        {"nr": 2, "room": {"no": "2b"}, "paid": Decimal128("10.50")},
                    ]
                },
            },
            {"ident": {"key": two, "names": {"first": "Bo"}}, "stays": {"list": []}},
            {"ident": {"key": None}, "stays": None},
        ]
    )
    mongo.visit.insert_many(
        [
            {"who": str(one).upper(), "stay": 1, "at": "spa"},
            {"who": "{" + str(one) + "}", "stay": 2, "at": "bar"},
            {"who": one.hex, "stay": 3, "at": "gym"},
            {"who": "no uuid", "stay": 1, "at": "bar"},
        ]
    )
    plan = plan_for(
        profile={"anchor": "s.guest", "user_id": {"type": "uuid"}},
        datasets={
            "s.guest": {
                "user_id": "key",
                "into": "who.is",
                "columns": {
                    "key": {"path": "ident.key", "type": "uuid"},
                    "first": {"path": "ident.names.first", "type": "string"},
                    "last": {"path": "ident.names.last", "type": "string"},
                    "lat": {"path": "home.geo.lat", "type": "number"},
                    "tags": {"path": "home.tags", "type": "json"},
                },
                "fields": {
                    "name.first": "first",
                    "name.last": "last",
                    "lat": "lat",
                    "t.ags": "tags",
                },
            },
            "s.stay": {
                "collection": "guest",
                "unnest": "stays.list",
                "user_id": "key",
                "into": "stays[]",
                "columns": {
                    "key": {"path": "ident.key", "type": "uuid"},
                    "nr": {"path": "stays.list.nr", "type": "integer"},
                    "room": {"path": "stays.list.room.no", "type": "string"},
                    "extras": {"path": "stays.list.room.extras", "type": "json"},
                    "paid": {"path": "stays.list.paid", "type": "decimal", "scale": 2},
                },
                "fields": {"nr": "nr", "room.no": "room", "room.extras": "extras", "paid": "paid"},
                "order_by": "nr desc",
                "primary_key": "nr",
            },
            "s.visit": {
                "user_id": "who",
                "into": "stays[nr=stay].room.visits[]",
                "columns": {"who": "string", "stay": "integer", "at": "string"},
                "value": "at",
            },
        },
    )
    made = merge(plan, frames(plan, mongodb_url))
    assert made.profiles == {
        str(one): {
            "who": {
                "is": {
                    "name": {"first": "Zoë", "last": None},
                    "lat": 1.5,
                    "t": {"ags": ["a", 1, {"b": None}]},
                }
            },
            "stays": [
                {"nr": 2, "room": {"no": "2b", "visits": ["bar"]}, "paid": "10.50"},
                {"nr": 1, "room": {"no": "1a", "extras": [{"x": 1}, {"x": 2}], "visits": ["spa"]}},
            ],
        },
        str(two): {"who": {"is": {"name": {"first": "Bo"}, "t": {}}}, "stays": []},
    }
    assert made.counts["s.guest"].quarantined == {("no_user_id", "key"): 1}
    assert made.counts["s.stay"].filtered == {"empty": 2}
    assert made.counts["s.visit"].quarantined == {
        ("not_a_uuid", "who"): 1,
        ("no_element", "stay"): 1,
    }
    assert all(counts.balanced for counts in made.counts.values())


def test_object_ids_arrays_of_keys_and_a_secret_deep_inside(
    mongo: pymongo.database.Database[Any], mongodb_url: str
) -> None:
    ids = [ObjectId(f"65f00000000000000000000{n}") for n in range(3)]
    mongo.member.insert_many(
        [
            {"_id": ids[0], "clubs": [10, 20, 20], "sec": {"pin": {"v": "1234"}, "locked": True}},
            {"_id": ids[1], "clubs": [20], "sec": {}},
            {"_id": ids[2], "clubs": []},
        ]
    )
    mongo.event.insert_many(
        [
            {"_id": 1, "club_ids": [10, 20], "fee": 1.5, "on": "2024-01-01"},
            {"_id": 2, "club_ids": [10, 10], "fee": 2.25, "on": "2024-01-02"},
            {"_id": 3, "club_ids": [30], "fee": 9.0, "on": "2024-01-03"},
        ]
    )
    event = {
        "collection": "event",
        "user_id": {"link": "club", "on": "clubs"},
        "orphans": "filter",
        "columns": {
            "_id": "integer",
            "clubs": {"path": "club_ids", "type": "integer[]"},
            "fee": {"type": "decimal", "scale": 2},
            "on": "date",
        },
    }
    plan = plan_for(
        profile={"anchor": "s.member", "user_id": {"type": "objectid"}},
        links={
            "club": {"dataset": "s.member", "from": "clubs", "to": "_id", "cardinality": "many"}
        },
        datasets={
            "s.member": {
                "user_id": "_id",
                "into": "a.b",
                "columns": {
                    "_id": "objectid",
                    "clubs": "integer[]",
                    "pin": {"path": "sec.pin.v", "type": "string"},
                    "locked": {"path": "sec.locked", "type": "boolean"},
                },
                "fields": {
                    "clubs": None,
                    "safe.deep.pin": {"column": "pin", "class": "secret"},
                    "safe.locked": "locked",
                },
            },
            "s.event": {**event, "into": "events[]", "primary_key": "_id", "fields": ["_id", "on"]},
            "s.fees": {
                **event,
                "into": "events[_id].cost",
                "fields": {"n": {"aggregate": "count"}, "fee": {"aggregate": "sum", "of": "fee"}},
            },
            "s.all": {
                **event,
                "into": "a.total",
                "fields": {
                    "fee": {"aggregate": "sum", "of": "fee", "where": "\"on\" > DATE '2024-01-01'"}
                },
            },
        },
    )
    made = merge(plan, frames(plan, mongodb_url))
    first = {"_id": 1, "on": "2024-01-01", "cost": {"n": 1, "fee": "1.50"}}
    second = {"_id": 2, "on": "2024-01-02", "cost": {"n": 1, "fee": "2.25"}}
    assert made.profiles == {
        str(ids[0]): {
            "a": {
                "b": {"clubs": [10, 20, 20], "safe": {"locked": True}},
                "total": {"fee": "2.25"},
            },
            "events": [first, second],
        },
        str(ids[1]): {
            "a": {"b": {"clubs": [20], "safe": {}}, "total": {"fee": "0.00"}},
            "events": [first],
        },
        str(ids[2]): {"a": {"b": {"clubs": [], "safe": {}}, "total": None}, "events": []},
    }
    assert made.secrets[str(ids[0])] == {"a": {"b": {"safe": {"deep": {"pin": "1234"}}}}}
    assert made.counts["s.event"].filtered == {"no_link": 1}
    assert made.counts["s.event"].placed == 3
    assert all(counts.balanced for counts in made.counts.values())


def test_padded_ids_and_policies_of_two_lines_found_by_keys_of_two_columns() -> None:
    policy = {
        "user_id": {"link": "holder", "on": ["office", "policy"]},
        "into": "policies[]",
        "order_by": "nr",
        "primary_key": ["office", "policy"],
    }
    columns = {"office": "string", "policy": "integer"}
    parts: dict[str, Any] = {
        "profile": {
            "anchor": "crm.person",
            "user_id": {"type": "string", "trim": True, "pad": 5, "pattern": r"\d{5}"},
        },
        "sources": {n: {"kind": "mongodb", "url": "x"} for n in ("crm", "life", "car")},
        "links": {
            "holder": {
                "dataset": "crm.holder",
                "from": ["office", "policy"],
                "to": "person",
                "where": "until IS NULL",
                "columns": "share",
            }
        },
        "datasets": {
            "crm.person": {
                "user_id": "id",
                "into": ".",
                "columns": {"id": "string", "mail": "string", "at": "timestamp"},
                "fields": ["mail"],
                "cursor": "at",
            },
            "life.person": {
                "user_id": "id",
                "into": ".",
                "columns": {"id": "integer", "mail": "string", "at": "timestamp"},
                "fields": ["mail"],
                "cursor": "at",
            },
            "crm.holder": {
                "columns": {**columns, "person": "string", "until": "date", "share": "integer"}
            },
            "life.policy": {
                **policy,
                "columns": {**columns, "nr": "string", "sum": {"type": "decimal", "scale": 0}},
                "fields": {"kind": {"constant": "life"}, "nr": "nr", "sum": "sum"},
            },
            "car.policy": {
                **policy,
                "columns": {**columns, "nr": "string", "plate": "string"},
                "fields": {
                    "kind": {"constant": "car"},
                    "nr": "nr",
                    "plate": "plate",
                    "my.share": "holder.share",
                },
            },
            "car.claim": {
                "user_id": {"link": "holder", "on": ["office", "policy"]},
                "into": "policies[kind=line, nr].claims[]",
                "columns": {**columns, "line": "string", "nr": "string", "id": "integer"},
                "fields": ["id"],
            },
            "car.photo": {
                "user_id": {"link": "holder", "on": ["office", "policy"]},
                "into": "policies[nr].claims[id=claim].proof.photos",
                "columns": {**columns, "nr": "string", "claim": "integer", "bytes": "integer"},
                "fields": {
                    "n": {"aggregate": "count"},
                    "bytes": {"aggregate": "max", "of": "bytes"},
                },
            },
        },
        "survivorship": {"mail": {"prefer": "crm", "policy": "latest"}},
    }
    rows: dict[str, list[dict[str, Any]]] = {
        "crm.person": [
            {"id": " 42", "mail": "old@x", "at": "2024-01-01T00:00:00Z"},
            {"id": "00007", "mail": "seven@x", "at": "2024-01-01T00:00:00Z"},
            {"id": "12345678", "mail": "long@x"},
        ],
        "life.person": [{"id": 42, "mail": "new@x", "at": "2024-02-01T00:00:00Z"}],
        "crm.holder": [
            {"office": "N", "policy": 1, "person": "42 ", "share": 100},
            {"office": "S", "policy": 1, "person": "7", "share": 50},
            {"office": "S", "policy": 1, "person": "42", "until": "2020-01-01", "share": 50},
        ],
        "life.policy": [{"office": "N", "policy": 1, "nr": "P1", "sum": "1000"}],
        "car.policy": [
            {"office": "N", "policy": 1, "nr": "P0", "plate": "</script>"},
            {"office": "S", "policy": 1, "nr": "P1", "plate": None},
        ],
        "car.claim": [
            {"office": "N", "policy": 1, "line": "car", "nr": "P0", "id": 1},
            {"office": "N", "policy": 1, "line": "life", "nr": "P1", "id": 1},
            {"office": "S", "policy": 1, "line": "life", "nr": "P1", "id": 2},
        ],
        "car.photo": [
            {"office": "N", "policy": 1, "nr": "P1", "claim": 1, "bytes": n} for n in (5, 9)
        ],
    }
    assert problems_for(**parts) == []
    made = merge(plan_for(**parts), rows)
    proof = {"photos": {"n": 2, "bytes": 9}}
    assert made.profiles == {
        "00042": {
            "mail": "new@x",
            "policies": [
                {
                    "kind": "life",
                    "nr": "P1",
                    "sum": "1000",
                    "claims": [{"id": 1, "proof": proof}],
                },
                {
                    "kind": "car",
                    "nr": "P0",
                    "plate": "</script>",
                    "my": {"share": 100},
                    "claims": [{"id": 1, "proof": {"photos": None}}],
                },
            ],
        },
        "00007": {
            "mail": "seven@x",
            "policies": [
                {"kind": "car", "nr": "P1", "plate": None, "my": {"share": 50}, "claims": []}
            ],
        },
    }
    assert made.counts["crm.person"].quarantined == {("user_id_pattern", "id"): 1}
    assert made.counts["car.claim"].quarantined == {("no_element", "line,nr"): 1}
    assert all(counts.balanced for counts in made.counts.values())
