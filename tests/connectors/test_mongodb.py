"""MongoDB through the conformance suite (replica set and standalone), and what only it has."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, MinKey, ObjectId
from bson.datetime_ms import DatetimeMS
from pandas.testing import assert_frame_equal

from connectors import mongodb
from connectors.mongodb_filters import LOOSE, find
from core.errors import ConfigError, SourceDenied, SourceUnavailable
from core.records import ABSENT, BAD_COLUMN, ChangeFilter, KeyFilter, Query
from core.values import parse_type
from devstack.mongodb import MongoServer
from tests.connectors.filter_suite import (
    FilterSuite,
    asked,
    assert_complete,
    cast_values,
    changed_ids,
    ids_of,
    instants,
)
from tests.connectors.suite import CANARY, ConnectorSuite, ServerSuite, query, rows_of
from tests.connectors.suite import Bank as BaseBank


class Bank(BaseBank):
    kind = "mongodb"

    def __init__(self, url: str) -> None:
        self.name = f"bank_{uuid.uuid4().hex[:8]}"
        self._url = url
        self.client: pymongo.MongoClient[Any] = pymongo.MongoClient(
            url, uuidRepresentation="standard"
        )
        self.database = self.client[self.name]

    @property
    def url(self) -> str:
        return re.sub(r"(//[^/]*)/", rf"\1/{self.name}", self._url, count=1)

    def make(self, table: str, rows: list[dict[str, Any]]) -> None:
        self.database.drop_collection(table)
        self.database.create_collection(table)
        made = [{k: Decimal128(v) if k == "amount" else v for k, v in row.items()} for row in rows]
        if made:
            self.database[table].insert_many(made)

    def move(self, identity: int, old: str, new: str) -> None:
        # A majority of one: the writes are in every later snapshot.
        row = self.database[old].find_one_and_delete({"id": identity})
        self.database[new].insert_one(row)

    def fill(self, table: str, rows: int, width: int) -> None:
        self.database.drop_collection(table)
        text = "x" * width
        for start in range(0, rows, 10_000):
            many = [{"id": i, "text": text} for i in range(start, min(start + 10_000, rows))]
            self.database[table].insert_many(many, ordered=False)

    def kill_readers(self) -> None:
        self.client.admin.command({"killAllSessions": []})

    def close(self) -> None:
        self.client.drop_database(self.name)
        self.client.close()


@pytest.fixture
def bank(mongodb_url: str) -> Iterator[Bank]:
    made = Bank(mongodb_url)
    yield made
    made.close()


def delivered(bank: Bank, kind: str, *values: Any) -> list[tuple[Any, Any]]:
    """What becomes of the values in a column of a kind: the value and whether it is bad."""
    bank.database["v"].insert_many([{"n": n, "v": value} for n, value in enumerate(values)])
    with bank.opened() as opened:
        rows = rows_of(opened, query("v", n="n:integer", v=f"v:{kind}"))
    return [(r["v"], r[BAD_COLUMN] == "v") for r in sorted(rows, key=lambda r: r["n"])]


class MongoFilterSuite(FilterSuite):
    # The connector itself makes integers of texts, of which some are spelt otherwise.
    most_extra_integers = 25
    trims_integers = False


class TestMongo(ConnectorSuite, MongoFilterSuite, ServerSuite):
    # Access control needs a server of its own: below.
    test_a_missing_grant_is_denied = None  # type: ignore[assignment]
    test_a_wrong_password_is_denied = None  # type: ignore[assignment]

    def test_a_replica_set_has_snapshots(self, bank: Bank) -> None:
        with bank.opened() as opened:
            assert opened.consistency == "snapshot"

    def test_a_database_that_is_profiled_has_them_too(
        self, bank: Bank, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bank.make("t", [{"n": 1}])
        bank.database.command("profile", 2)
        try:
            names = bank.database.list_collection_names()
            assert set(names) == {"t", "system.profile"}

            def listed(*_: Any, **__: Any) -> list[str]:
                return ["system.profile", "t"]  # the server lists them in any order

            monkeypatch.setattr(pymongo.database.Database, "list_collection_names", listed)
            with bank.opened() as opened:
                assert opened.consistency == "snapshot"
                monkeypatch.undo()
                assert [row["n"] for row in rows_of(opened, query("t", n="n:integer"))] == [1]
        finally:
            bank.database.command("profile", 0)

    def test_a_slow_read_is_unavailable(self, bank: Bank) -> None:
        bank.make("t", [{"id": i} for i in range(500)])
        body = "function(x) { sleep(10); return x }"
        slow = {"$function": {"body": body, "args": ["$id"], "lang": "js"}}
        bank.database.create_collection("v", viewOn="t", pipeline=[{"$set": {"id": slow}}])
        limited = bank.opened(statement_timeout_s=0.5)
        told = r"took longer than 0\.5 s \(code 50\)"
        with limited as opened, pytest.raises(SourceUnavailable, match=told):
            rows_of(opened, query("v", "id"))

    def test_a_column_without_a_type_is_refused(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened, pytest.raises(ConfigError, match="nothing"):
            opened.describe(query("t", nothing="x"))

    def test_absent_is_told_from_null(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "text": None}, {"id": 2}])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "id", "text"))
        assert {r["id"]: r[ABSENT + "text"] for r in rows} == {1: False, 2: True}

    def test_a_path_through_an_array_is_bad(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "doc": [{"a": "x"}]}])
        with bank.opened() as opened:
            (row,) = rows_of(opened, query("t", a="doc.a:string"))
        assert (row["a"], row[BAD_COLUMN], row[ABSENT + "a"]) == (None, "a", False)

    def test_a_field_and_one_below_it_are_read_together(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "doc": {"a": "x"}}])
        with bank.opened() as opened:
            (row,) = rows_of(opened, query("t", "doc", a="doc.a:string"))
        assert (row["doc"], row["a"]) == ('{"a":"x"}', "x")

    def test_integers(self, bank: Bank) -> None:
        big = 2**63 - 1
        found = delivered(
            bank, "integer", 5, Int64(big), 7.0, "12", Decimal128("1E+3"), 1.5, "x", True, 1e300
        )
        assert [v for v, bad in found if not bad] == [5, big, 7, 12, 1000]
        assert [bad for _, bad in found] == [False] * 5 + [True] * 4

    def test_numbers(self, bank: Bank) -> None:
        inf = float("inf")
        found = delivered(
            bank, "number", 1.5, inf, 3, "2.5", Decimal128("0.1"), Int64(2**53 + 1), "x", True
        )
        assert found == [
            (1.5, False),
            (inf, False),
            (3.0, False),
            (2.5, False),
            (0.1, False),
            (None, True),
            (None, True),
            (None, True),
        ]

    def test_texts_of_other_types(self, bank: Bank) -> None:
        identity, unique = ObjectId(), uuid.uuid4()
        found = delivered(
            bank, "string", "a", 5, 1.5, True, identity, unique, Decimal128("1E+3"), {"x": 1}, b"b"
        )
        texts = ["a", "5", "1.5", "true", str(identity), str(unique), "1E+3"]
        assert found == [(text, False) for text in texts] + [(None, True)] * 2

    @pytest.mark.parametrize(
        "text",
        ["0", "-0", "0.00", "-1.10", "1E+3", "1E-6176", "NaN", "Infinity", "-Infinity", "0E-5",
         "0.001", "9.999999999999999999999999999999999E+6144", "12345678901234567890.1234567890"],
    )  # fmt: skip
    def test_decimals_are_printed_as_the_driver_does(self, bank: Bank, text: str) -> None:
        assert delivered(bank, "decimal", Decimal128(text)) == [(str(Decimal128(text)), False)]

    def test_instants_of_all_years(self, bank: Bank) -> None:
        usual = datetime(2024, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)
        ancient = datetime(1, 1, 1, tzinfo=UTC)
        assert delivered(bank, "timestamp", usual, ancient) == [
            ("2024-01-31 12:00:00.123000Z", False),
            ("0001-01-01 00:00:00.000000Z", False),
        ]
        bank.database["v"].drop()
        late = DatetimeMS(253402300800000)
        assert delivered(bank, "timestamp", late, usual, "2024-02-30", 5) == [
            ("10000-01-01T00:00:00.000Z", False),
            ("2024-01-31 12:00:00.123000Z", False),
            ("2024-02-30", False),
            ("5", False),
        ]

    def test_documents_are_json(self, bank: Bank) -> None:
        given = {
            "at": datetime(2024, 1, 31, 12, tzinfo=UTC),
            "d": Decimal128("1.10"),
            "b": Binary(b"\xff"),
            "n": Int64(2**53 + 1),
            "x": None,
        }
        expected = (
            '{"at":"2024-01-31T12:00:00Z","d":"1.10","b":"/w==","n":9007199254740993,"x":null}'
        )
        assert delivered(bank, "json", given, [1, [2]]) == [(expected, False), ("[1,[2]]", False)]

    def test_what_json_can_not_hold_is_bad(self, bank: Bank) -> None:
        nan = float("nan")
        found = delivered(bank, "json", {"a": [nan]}, {"a": MinKey()}, {"a": [None]})
        assert found == [(None, True), (None, True), ('{"a":[null]}', False)]

    def test_pieces_do_not_matter(self, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [{"id": i, "v": v, "list": [{"n": i}] * (i % 3)} for i, v in enumerate(MIXED)]
        bank.database["t"].insert_many([*rows, {"id": len(rows)}])
        kinds = ("string", "integer", "number", "json", "timestamp")
        asks = [query("t", "id", v=f"v:{kind}") for kind in kinds]
        asks.append(query("t", "id", unnest="list", n="list.n:integer", v="v:json"))
        with bank.opened() as opened:
            whole = [list(opened.read(wanted, 2**20)) for wanted in asks]
            monkeypatch.setattr(mongodb, "PIECE_BYTES", 1)
            pieces = [list(opened.read(wanted, 2**20)) for wanted in asks]
        for [one], [other] in zip(whole, pieces, strict=True):
            assert len(one) >= len(MIXED)
            assert_frame_equal(one, other)
            assert one.attrs == other.attrs

    def test_booleans_and_binary(self, bank: Bank) -> None:
        assert delivered(bank, "boolean", True, 1, "true") == [
            (True, False),
            (None, True),
            (None, True),
        ]
        bank.database["v"].drop()
        found = delivered(bank, "binary", b"\x00\xff", Binary(b"a", 5), "text")
        assert found == [(b"\x00\xff", False), (b"a", False), (None, True)]

    def test_text_that_is_no_utf8_spoils_its_row_only(self, bank: Bank) -> None:
        raw = bson.encode({"n": 0, "v": "QQ"}).replace(b"QQ", b"\xff\xfe")
        bank.database["v"].insert_one(bson.raw_bson.RawBSONDocument(raw))
        assert delivered(bank, "string", "fine")[-1] == ("fine", False)
        with bank.opened() as opened:
            rows = rows_of(opened, query("v", v="v:string"))
        assert {(r["v"], r[BAD_COLUMN]) for r in rows} == {(None, "v"), ("fine", None)}


class TestStandalone(ConnectorSuite, MongoFilterSuite):
    @pytest.fixture
    def bank(self, standalone_url: str) -> Iterator[Bank]:
        made = Bank(standalone_url)
        yield made
        made.close()

    def test_it_says_that_it_has_no_snapshots(self, bank: Bank) -> None:
        with bank.opened() as opened:
            assert opened.consistency == "none"


ID, UNIQUE = ObjectId("65a1b2c3d4e5f60718293a4b"), uuid.UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
MIXED: list[Any] = [
    *("5", "05", "+5", "-5", " 5", "5 ", 5, Int64(5), 5.0, 5.5, Decimal128("5"), Decimal128("5.0")),
    *(0, "-0", -0.0, Decimal128("0E-5"), 2**53, Int64(2**63 - 1), 1e22, 1e300, 5e-324, 0.1),
    *(Decimal128("0.1"), Decimal128("1E+3"), 1000, Decimal128("1E-6176"), "1E+3", "1e+22"),
    *(float("nan"), float("inf"), Decimal128("NaN"), Decimal128("-Infinity"), True, False, "true"),
    *(ID, str(ID), str(ID).upper(), f"{ID} ", UNIQUE, str(UNIQUE), UNIQUE.hex, f" {UNIQUE}"),
    *(f"urn:uuid:{UNIQUE}".upper(), f"{{{UNIQUE}}}", Binary(UNIQUE.bytes, 3), Binary(b"abc"), b"abc"),
    *(Decimal128("123456789012345678901234"), "123456789012345678901234", "YWJj", "", None),
    *(datetime(2024, 1, 31, 12, 0, 0, 123000), datetime(2024, 1, 31), "2024-01-31T00:00:00Z"),
    *(DatetimeMS(253402300800000), DatetimeMS(-62167219200001), {"x": 5}, MinKey()),
    *("a", "A", " a", "\u00e9", "E\u0301", "\u00ea\u0323", "\u1ec6", "\u10d0", "\u1c90", " \u0301a"),
]  # fmt: skip


class TestMongoFilters:
    @pytest.mark.parametrize("kind", ["string", "integer", "uuid", "objectid"])
    @pytest.mark.parametrize("loose", [False, True])
    @pytest.mark.parametrize("place", ["v", "v.w", "v[]", "items.v"])
    def test_mixed_types(self, bank: Bank, kind: str, loose: bool, place: str) -> None:
        held = list(enumerate(MIXED))
        wrap = {
            "v": lambda each: {"v": each},
            "v.w": lambda each: {"v": {"w": each}},
            "v[]": lambda each: {"v": [each, None]},
            "items.v": lambda each: {"items": [{"v": "other"}, {"v": each}]},
        }[place]
        bank.database["t"].insert_many([{"id": i, **wrap(each)} for i, each in held])
        path = {"v[]": "v"}.get(place, place)
        declared = f"{path}:{kind}{'[]' if place == 'v[]' else ''}"
        unnest = "items" if place == "items.v" else None
        wanted = query("t", "id", unnest=unnest, k=declared)
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            probe = KeyFilter("k", (), loose)
            values = set()
            for value in cast_values(rows, parse_type(declared.partition(":")[2]), probe):
                items = value if isinstance(value, list) else [value]
                values |= {item for item in items if item is not None} - {"other"}
            assert len(values) >= {"string": 20, "integer": 4, "uuid": 1, "objectid": 1}[kind]
            for value in values:
                found = assert_complete(opened, wanted, KeyFilter("k", (value,), loose), rows=rows)
                far = re.match(r"\d{5}-|-\d+-|0000-", str(value))
                if kind == "string" and str(value).isascii() and not far:
                    assert len(found) < 20, value
            assert_complete(opened, wanted, KeyFilter("k", tuple(values), loose), rows=rows)

    @pytest.mark.parametrize(
        ("kind", "value", "fits"),
        [
            ("string", "5", ["5", 5, Int64(5), Decimal128("5")]),
            ("string", "1e+22", ["1e+22", 1e22]),
            ("string", "1E+3", ["1E+3", Decimal128("1E+3")]),
            ("string", str(ID), [ID, str(ID)]),
            ("string", str(UNIQUE), [UNIQUE, str(UNIQUE)]),
            ("string", "true", [True, "true"]),
            ("string", "2024-01-31 00:00:00.000000Z", [datetime(2024, 1, 31)]),
            ("string", "0000-01-01T00:00:00.000Z", []),
            ("integer", 5, ["5", "05", "+5", 5, Int64(5), 5.0, Decimal128("5"), Decimal128("5.0")]),
            ("objectid", str(ID), [ID, str(ID), str(ID).upper()]),
            ("uuid", str(UNIQUE), [UNIQUE, str(UNIQUE), UNIQUE.hex, f"{{{UNIQUE}}}"]),
        ],
    )
    def test_what_stands_for_a_value(
        self, bank: Bank, kind: str, value: Any, fits: list[Any]
    ) -> None:
        bank.database["t"].insert_many([{"id": i, "v": each} for i, each in enumerate(MIXED)])
        rule = {
            i
            for i, each in enumerate(MIXED)
            if any(type(each) is type(fit) and str(each) == str(fit) for fit in fits)
        }
        assert len(rule) >= len(fits)
        with bank.opened() as opened:
            assert rule <= ids_of(opened, query("t", "id", v=f"v:{kind}"), KeyFilter("v", (value,)))

    def test_arrays_in_arrays_are_read_whole(self, bank: Bank) -> None:
        bank.database["t"].insert_one({"id": 1, "tags": [["a"], ["b"]]})
        wanted = query("t", "id", unnest="tags", tag="tags:string[]")
        with bank.opened() as opened:
            rows = rows_of(opened, asked(wanted, KeyFilter("tag", ("b",))))
        assert '["b"]' in [row["tag"] for row in rows]

    def test_changes(self, bank: Bank) -> None:
        held = [
            *instants(*(f"2024-02-0{day}" for day in range(1, 8))),
            None,
            "2024-02-04",
            1707004800,
        ]
        special = [Decimal128("1707004800"), {"x": 1}, ObjectId(), DatetimeMS(253402300800000)]
        rows = [{"id": i, "at": at} for i, at in enumerate([*held, *special], 1)]
        bank.database["t"].insert_many(rows)
        since, until = instants("2024-02-04T00:00:00", "2024-02-04T00:00:00.000001")
        kept = {9, 10, 11}
        ends = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        with bank.opened() as opened:
            wanted = query("t", "id", at="at:timestamp")
            assert changed_ids(opened, wanted, "at", since, until) == {4} | kept
            assert changed_ids(opened, wanted, "at", until - timedelta(days=1), since) == {3} | kept
            assert set(range(1, 8)) | kept <= changed_ids(opened, wanted, "at", *ends)
            dates = changed_ids(opened, query("t", "id", at="at:date"), "at", since, until)
            assert {3, 4, 5} | kept <= dates

    def test_a_document_that_did_not_arrive_is_missed(
        self, bank: Bank, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bank.make("t", [{"id": i, "text": "a" * (i % 2 + 1)} for i in range(100)])
        whole = mongodb.slices
        monkeypatch.setattr(mongodb, "slices", lambda b, size: list(whole(b, size))[:-1])
        key = KeyFilter("text", ("a",))
        with bank.opened() as opened:
            for wanted in (query("t", "id", "text"), asked(query("t", "id", "text"), key)):
                with pytest.raises(SourceUnavailable, match=r"has (100|50) documents"):
                    rows_of(opened, wanted, chunk_bytes=200)

    def test_indexes_serve(self, bank: Bank) -> None:
        rows = [
            {
                "n": i, "s": str(i), "mail": f"User{i}@x", "u": uuid.UUID(int=i), "tags": [str(i)],
                "o": ObjectId(f"{i:024x}"), "items": [{"sku": f"S{i}"}],
                "at": datetime(2024, 1, 1) + timedelta(hours=i),
            }
            for i in range(5000)
        ]  # fmt: skip
        table = bank.database["t"]
        table.insert_many(rows)
        for path in ("n", "s", "u", "o", "tags", "items.sku", "at"):
            table.create_index(path)
        table.create_index("mail", collation=LOOSE)
        asks: list[tuple[str, KeyFilter, int]] = [
            ("n:integer", KeyFilter("n", (5, 6), loose=True), 3),
            ("n:string", KeyFilter("n", ("5",)), 4),
            ("s:string", KeyFilter("s", ("5",)), 4),
            ("s:integer", KeyFilter("s", (5,)), 6),
            ("mail:string", KeyFilter("mail", ("user5@x", "user6@x"), loose=True), 4),
            ("u:uuid", KeyFilter("u", (str(uuid.UUID(int=5)),), loose=True), 3),
            ("u:string", KeyFilter("u", (str(uuid.UUID(int=5)),)), 4),
            ("o:objectid", KeyFilter("o", (f"{5:024x}",), loose=True), 3),
            ("tags:string[]", KeyFilter("tags", ("5", "abcd")), 6),
        ]
        with bank.opened() as opened:
            for path, ask, keys in asks:
                wanted = asked(query("t", **{ask.column: path}), ask)
                stages, examined = explained(bank, opened, wanted)
                assert "IXSCAN" in stages and "COLLSCAN" not in stages, (path, stages)
                assert examined <= keys, path
            element = query("t", unnest="items", sku="items.sku:string")
            stages, _ = explained(bank, opened, asked(element, KeyFilter("sku", ("S5",))))
            assert "COLLSCAN" not in stages
            span = ChangeFilter("at", *instants("2024-01-02", "2024-01-02T01:00:00"))
            changed = replace(query("t", at="at:timestamp"), changed=span)
            stages, examined = explained(bank, opened, changed)
            assert "COLLSCAN" not in stages and examined <= 4
            assert explained(bank, opened, query("t", "id"))[0] == {"COLLSCAN"}


def explained(bank: Bank, opened: Any, wanted: Query) -> tuple[set[str], int]:
    """The stages of MongoDB's own plan for the find that the connector makes; keys it looked at."""
    made = find(wanted, opened.describe(wanted))
    told = bank.database["t"].find(made.filter, collation=made.collation).explain()

    def stages(plan: dict[str, Any]) -> set[str]:
        inner = [*plan.get("inputStages", []), *filter(None, [plan.get("inputStage")])]
        return {plan["stage"]}.union(*map(stages, inner))

    return stages(told["queryPlanner"]["winningPlan"]), told["executionStats"]["totalKeysExamined"]


def test_a_wrong_password_and_a_missing_grant_are_denied(guarded_mongodb: MongoServer) -> None:
    bank = Bank(guarded_mongodb.url)
    bank.make("seen", [{"id": 1}])
    bank.make("unseen", [{"id": 1}])
    privilege = {"resource": {"db": bank.name, "collection": "seen"}, "actions": ["find"]}
    bank.database.command("createRole", "some", privileges=[privilege], roles=[])
    bank.database.command("createUser", "reader", pwd="right", roles=["some"])
    port = guarded_mongodb.port
    place = f"127.0.0.1:{port}/{bank.name}?replicaSet=rs0&authSource={bank.name}"
    with bank.opened(url=f"mongodb://reader:right@{place}") as opened:
        assert len(rows_of(opened, query("seen", "id"))) == 1
        with pytest.raises(SourceDenied, match="13"):
            opened.describe(query("unseen", "id"))
    with (
        pytest.raises(SourceDenied) as caught,
        bank.opened(url=f"mongodb://reader:{CANARY}@{place}"),
    ):
        pass
    assert CANARY not in f"{caught.value}{caught.value!r}"
    bank.close()
