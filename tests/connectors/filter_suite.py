"""What filters must do on every connector: no row is missed that the reader's casts make fit.

What must arrive is told twice: by the product's own casts and folding over an unfiltered read, and
by a plain rule over the values that were put in.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from connectors.base import Connector
from core.entries import Column
from core.pipeline import Link
from core.records import ChangeFilter, KeyFilter, Query
from core.values import ColumnType
from tests.connectors.suite import TRICKY, Bank, query, rows_of
from transforms.casts import cast
from transforms.normalise import folded

LOOSE = Link.model_validate(
    {"dataset": "a.b", "from": "k", "to": "u", "cardinality": "one", "case_insensitive": True}
)
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OBJECT_ID = "65a1b2c3d4e5f60718293a4b"
TEXTS = [
    *TRICKY,
    *("123", " 123", "123 ", "123\t", "\n123", "00123", "+123", "-123", "0", "-0", "123.0"),
    *("AbC@x", "abc@x", "ABC@X", " abc@x", "abc@x\u00a0", "\u3000Abc@x\u2028", "ab c@x", "abc @x"),
    *("\u00e9t\u00e9", "e\u0301te\u0301", "\u00c9T\u00c9", "E\u0301TE\u0301", "ete"),
    *("istanbul", "ISTANBUL", "\u0130stanbul", "i\u0307stanbul", "\u0131stanbul"),
    *("strasse", "stra\u00dfe", "STRA\u1e9eE", "STRASSE"),
    *("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2", "\u03bf\u03b4\u03bf\u03c3"),
    *("k", "K", "\u212a", "\u00c5", "\u212b", "A\u030a", ";", "\u037e", "`", "\u1fef"),
    *('{"a",b}', "{}", "{a,b}", '"', "a'b\"c", "\\'", "\\\\", "%s", "%(x)s", ":x", "?", "$1"),
    *(UUID, UUID.upper(), UUID.replace("-", ""), f"urn:uuid:{UUID}", f"{{{UUID.upper()}}}"),
    *(f" {UUID}", UUID.replace("-", "", 2), OBJECT_ID, OBJECT_ID.upper(), f"{OBJECT_ID} "),
    *(UUID.replace("3", "4"), OBJECT_ID.replace("6", "7")),
]
TEXTS = list(dict.fromkeys(TEXTS))


def asked(wanted: Query, *keys: KeyFilter) -> Query:
    return replace(wanted, keys=keys)


def ids_of(opened: Connector, wanted: Query, *keys: KeyFilter) -> set[int]:
    return {int(row["id"]) for row in rows_of(opened, asked(wanted, *keys))}


def plain_fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).lower()


def cast_values(rows: list[dict[str, Any]], declared: ColumnType, key: KeyFilter) -> list[Any]:
    """The column as the product's reader compares it; the items of an array in a list."""
    series = pl.from_arrow(pa.array([row[key.column] for row in rows]))
    assert isinstance(series, pl.Series)
    column = Column.model_validate({"trim": key.loose})
    made = cast(series, column, declared, declared, None).values
    link = LOOSE if key.loose else None
    if declared.kind == "array":
        item = pl.Int64() if declared.item == "integer" else pl.String()
        return made.str.json_decode(pl.List(item)).to_list()
    frame = pl.DataFrame({"v": made})
    found = frame.select(folded(pl.col("v"), frame.schema["v"], link))
    return found.to_series().to_list()


def fitting(rows: list[dict[str, Any]], declared: ColumnType, key: KeyFilter) -> set[int]:
    """The ids of the rows that fit by the product's own rules."""
    wanted = set(map(str, key.values))
    found = set()
    for row, value in zip(rows, cast_values(rows, declared, key), strict=True):
        items = value if isinstance(value, list) else [value]
        if wanted & {str(item) for item in items if item is not None}:
            found.add(int(row["id"]))
    return found


def assert_complete(
    opened: Connector,
    wanted: Query,
    key: KeyFilter,
    rule: Iterable[int] = (),
    rows: list[dict[str, Any]] | None = None,
) -> set[int]:
    """The ids that a filtered read delivers, which has none too few."""
    declared = {c.name: c.type for c in wanted.columns}[key.column]
    rows = rows_of(opened, wanted) if rows is None else rows
    found = ids_of(opened, wanted, key)
    due = fitting(rows, declared or opened.describe(wanted)[key.column], key)
    assert due <= found, (key, [row for row in rows if int(row["id"]) in due - found])
    missed = set(rule) - found
    assert not missed, (key, [row for row in rows if int(row["id"]) in missed])
    return found


class FilterSuite:
    """The tests; a subclass has the fixture ``bank``."""

    most_extra = 0
    """How many rows of a test may arrive that an exact filter on text does not ask for."""
    most_extra_integers = 0
    """The same for integers in text."""
    trims_integers = True
    """Whether texts are delivered that are integers only once trimmed."""

    def texts(self, bank: Bank) -> dict[int, str | None]:
        held = dict(enumerate([*TEXTS, None]))
        bank.make("t", [{"id": i, "text": text} for i, text in held.items()])
        return held

    def test_texts_exactly(self, bank: Bank) -> None:
        held = self.texts(bank)
        wanted = query("t", "id", "text")
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            for i, text in held.items():
                if text is None:
                    continue
                found = assert_complete(opened, wanted, KeyFilter("text", (text,)), {i}, rows)
                assert len(found) <= 1 + self.most_extra, (text, [held[i] for i in found])
            every = KeyFilter("text", tuple(t for t in held.values() if t is not None))
            assert_complete(opened, wanted, every, set(held) - {len(TEXTS)}, rows)

    def test_texts_without_regard_to_case_and_space(self, bank: Bank) -> None:
        held = self.texts(bank)
        wanted = query("t", "id", "text")
        values = {plain_fold(text) for text in TEXTS}
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            for value in values:
                rule = {i for i, text in held.items() if text and plain_fold(text) == value}
                assert_complete(opened, wanted, KeyFilter("text", (value,), True), rule, rows)
            assert_complete(opened, wanted, KeyFilter("text", tuple(values), True), rows=rows)

    @pytest.mark.parametrize("loose", [False, True])
    def test_integers_in_texts(self, bank: Bank, loose: bool) -> None:
        held = self.texts(bank)
        wanted = query("t", "id", text="text:integer")
        untyped = query("t", "id", "text")
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            trims = loose and self.trims_integers
            for value in (123, -123, 0, 5):
                shown = {i: text.strip() if trims else text for i, text in held.items() if text}
                rule = {i for i, text in shown.items() if text in {str(value), f"-{value}"}}
                rule = {i for i in rule if int(shown[i]) == value}
                key = KeyFilter("text", (value,), loose)
                found = assert_complete(opened, wanted, key, rule, rows)
                # an integer user id in a column that is text
                assert rule <= ids_of(opened, untyped, key)
                assert loose or len(found) <= len(rule) + self.most_extra_integers

    @pytest.mark.parametrize("loose", [False, True])
    @pytest.mark.parametrize(("kind", "value"), [("uuid", UUID), ("objectid", OBJECT_ID)])
    def test_ids_in_all_their_spellings(
        self, bank: Bank, kind: str, value: str, loose: bool
    ) -> None:
        held = self.texts(bank)
        wanted = query("t", "id", text=f"text:{kind}")
        plain = str.maketrans(dict.fromkeys("-{}", ""))
        rule = set()
        for i, text in held.items():
            shown = (text or "").lower().removeprefix("urn:uuid:")
            shown = shown.strip() if loose else shown
            if shown.translate(plain) == value.translate(plain):
                rule.add(i)
        assert len(rule) >= 2
        with bank.opened() as opened:
            rows = rows_of(opened, wanted)
            found = assert_complete(opened, wanted, KeyFilter("text", (value,), loose), rule, rows)
            assert len(found) < len(TEXTS)
            if loose and kind == "uuid":
                # user ids are cast after the column, which may be declared as text
                as_text = ids_of(
                    opened, query("t", "id", "text"), KeyFilter("text", (value,), True)
                )
                assert rule <= as_text

    def test_integer_columns(self, bank: Bank) -> None:
        held = [0, -1, 7, 123, 2**53, 2**63 - 1, -(2**63)]
        bank.make("t", [{"id": each} for each in held])
        wanted, as_text = query("t", "id"), query("t", id="id:string")
        with bank.opened() as opened:
            for value in held:
                for loose in (False, True):
                    assert ids_of(opened, wanted, KeyFilter("id", (value,), loose)) == {value}
                    key = KeyFilter("id", (str(value),), loose)
                    assert ids_of(opened, as_text, key) == {value}
            assert ids_of(opened, as_text, KeyFilter("id", ("00123", "7"))) == {123, 7}
            beyond = (2**63, -(2**70), 10**400)
            assert ids_of(opened, wanted, KeyFilter("id", (*beyond, 7))) == {7}
            assert ids_of(opened, wanted, KeyFilter("id", beyond)) == set()
            junk = ("", "abc", "1e2", "7 or 1=1", "7.5", "\u0667", "a\0b", "\ud800")
            assert ids_of(opened, as_text, KeyFilter("id", junk)) == set()

    def test_amounts(self, bank: Bank) -> None:
        amounts = ["1.10", "-1.10", "0.00", "12345678901234567.89", "7.00"]
        bank.make("t", [{"id": i, "amount": each} for i, each in enumerate(amounts)])
        as_text, as_integer = (
            query("t", "id", amount="amount:string"),
            query("t", "id", amount="amount:integer"),
        )
        with bank.opened() as opened:
            for i, amount in enumerate(amounts):
                found = assert_complete(opened, as_text, KeyFilter("amount", (amount,)), {i})
                assert found == {i}
            assert_complete(opened, as_integer, KeyFilter("amount", (7,)))

    def test_no_values_no_rows_and_nothing_that_can_not_be(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "text": "a", "doc": {"a": "x"}}, {"id": 2}])
        with bank.opened() as opened:
            for wanted in (query("t", "id", "text"), query("t", "id", text="text:integer")):
                for loose in (False, True):
                    assert ids_of(opened, wanted, KeyFilter("text", (), loose)) == set()
            assert ids_of(opened, query("t", "id", "doc"), KeyFilter("doc", ())) == set()
            odd = ("a\0", "\0", "\ud83d", "")
            assert ids_of(opened, query("t", "id", "text"), KeyFilter("text", odd)) == set()
            loose = KeyFilter("text", (*odd, "a"), True)
            assert ids_of(opened, query("t", "id", "text"), loose) == {1}

    def test_two_filters_are_both_kept(self, bank: Bank) -> None:
        bank.make("t", [{"id": i, "text": text} for i, text in enumerate(["a", "b", "a", "B"])])
        first, second = KeyFilter("text", ("a", "b")), KeyFilter("id", (1, 2, 3))
        with bank.opened() as opened:
            found = ids_of(opened, query("t", "id", "text"), first, second)
            assert {1, 2} <= found <= {1, 2, 3}
            loose = ids_of(opened, query("t", "id", "text"), replace(first, loose=True), second)
            assert loose == {1, 2, 3}

    def test_many_nasty_values(self, bank: Bank) -> None:
        letters = "ab\"'\\{},%_? :$;\n\t-"
        dice = random.Random(7)
        held = ["".join(dice.choices(letters, k=dice.randrange(6))) for _ in range(400)]
        bank.make("t", [{"id": i, "text": text} for i, text in enumerate(held)])
        values = tuple("".join(dice.choices(letters, k=dice.randrange(4))) for _ in range(1000))
        with bank.opened() as opened:
            wanted = query("t", "id", "text")
            rule = {i for i, text in enumerate(held) if text in values}
            assert 50 < len(rule) < 350
            found = assert_complete(opened, wanted, KeyFilter("text", values), rule)
            assert len(found) <= len(rule) + self.most_extra
            folds = tuple({plain_fold(value) for value in values})
            rule = {i for i, text in enumerate(held) if plain_fold(text) in folds}
            assert_complete(opened, wanted, KeyFilter("text", folds, True), rule)

    def test_paths_and_elements(self, bank: Bank) -> None:
        docs: list[Any] = [
            {"a": "x", "n": 5, "items": [{"sku": "A1"}, {"sku": "B2"}]},
            {"a": "X ", "n": "5", "items": [{"sku": "a1"}]},
            {"a": None, "n": None, "items": []},
            {"a": {"b": "x"}, "items": [{"sku": None}, {}]},
            None,
        ]
        bank.make("t", [{"id": i, "doc": doc} for i, doc in enumerate(docs)])
        with bank.opened() as opened:
            path = query("t", "id", a="doc.a:string")
            assert_complete(opened, path, KeyFilter("a", ("x",)), {0})
            assert_complete(opened, path, KeyFilter("a", ("x",), True), {0, 1})
            number = query("t", "id", n="doc.n:integer")
            assert_complete(opened, number, KeyFilter("n", (5,)), {0, 1})
            as_text = query("t", "id", n="doc.n:string")
            assert_complete(opened, as_text, KeyFilter("n", ("5",)), {0, 1})
            items = query("t", "id", unnest="doc.items", sku="doc.items.sku:string")
            key = KeyFilter("sku", ("A1",))
            rows = rows_of(opened, asked(items, key))
            assert [r["id"] for r in rows if r["sku"] == "A1"] in ([0], ["0"])
            loose = rows_of(opened, asked(items, replace(key, values=("a1",), loose=True)))
            assert {str(r["id"]) for r in loose if r["sku"] in {"A1", "a1"}} == {"0", "1"}
            outer = asked(items, KeyFilter("id", (1,)))
            assert {r["sku"] for r in rows_of(opened, outer) if str(r["id"]) == "1"} == {"a1"}


def instants(*texts: str) -> list[datetime]:
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]


def changed_ids(
    opened: Connector, wanted: Query, column: str, since: datetime, until: datetime
) -> set[int]:
    """The ids that a read of a span delivers."""
    span = replace(wanted, changed=ChangeFilter(column, since, until))
    return {int(row["id"]) for row in rows_of(opened, span)}


class SqlFilterSuite(FilterSuite):
    """What holds where there is SQL."""

    def test_a_query_text_is_filtered(self, bank: Bank) -> None:
        bank.make("t", [{"id": i, "text": text} for i, text in enumerate(["100%", "b", "B "])])
        text = "SELECT id, text FROM t WHERE text = '100%' OR text LIKE '%' -- all \n;"
        wanted = replace(query("q", "id", "text"), text=text)
        with bank.opened() as opened:
            assert_complete(opened, wanted, KeyFilter("text", ("100%",)), {0})
            assert_complete(opened, wanted, KeyFilter("text", ("b",), True), {1, 2})
            assert ids_of(opened, replace(wanted, text="SELECT * FROM t WHERE text = '100%'")) == {
                0
            }
            assert ids_of(opened, wanted, KeyFilter("id", (1,))) == {1}
            assert ids_of(opened, wanted, KeyFilter("id", (1,)), KeyFilter("text", ())) == set()
