"""What every connector must do, whatever it reads; each kind brings a ``Bank`` of about 20 lines.

Every bank can make tables with the columns ``id``, ``text``, ``number``, ``amount``, ``doc``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.base import Connector
from connectors.registry import connector
from core.errors import SourceDenied, SourceDrift, SourceUnavailable
from core.pipeline import Source
from core.records import BAD_COLUMN, EMPTY, Query, QueryColumn
from core.values import parse_type

CANARY = "canary-s3cret"
TYPES = {"id": "integer", "text": "string", "number": "number", "amount": "decimal", "doc": "json"}
TRICKY = [
    "",
    " ",
    '"',
    '""',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\\N",
    "\\.",
    "\\",
    "it's 100% %s",
    "\ufeffbom",
    "\u2028\u2029",
    "\U0001f600",
    "e\u0301",
    "NULL",
    "null",
    "NaN",
    "tab\t",
    "\n",
]


def query(table: str, *names: str, unnest: str | None = None, **paths: str) -> Query:
    """A query for columns by their names, and for ``name="path:type"``."""
    columns = [QueryColumn(name, name, parse_type(TYPES[name])) for name in names]
    for name, place in paths.items():
        path, _, kind = place.partition(":")
        columns.append(QueryColumn(name, path, parse_type(kind) if kind else None))
    return Query(f"bank.{table}", table, tuple(columns), unnest=unnest)


def rows_of(opened: Connector, wanted: Query, chunk_bytes: int = 1 << 20) -> list[dict[str, Any]]:
    """All rows, missing values as None; every chunk has the same form and is backed by Arrow."""
    frames = list(opened.read(wanted, chunk_bytes))
    assert len({tuple(map(str, frame.dtypes.items())) for frame in frames}) <= 1
    for frame in frames:
        assert all(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
        names = [column.name for column in wanted.columns]
        assert list(frame.columns)[: len(names) + 1] == [*names, BAD_COLUMN]
        assert (EMPTY in frame.columns) == (wanted.unnest is not None)
    return [
        {name: None if value is pd.NA else value for name, value in row.items()}
        for frame in frames
        for row in frame.astype(object).to_dict("records")
    ]


class Bank(ABC):
    """A database of one kind, filled through a driver of the tests' own."""

    kind = "sql"
    server = True

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the connector reads."""

    @abstractmethod
    def make(self, table: str, rows: list[dict[str, Any]]) -> None:
        """A new table; absent columns are null, ``doc`` is a Python object."""

    @abstractmethod
    def move(self, identity: int, old: str, new: str) -> None:
        """Moves a row to another table in one transaction."""

    @abstractmethod
    def fill(self, table: str, rows: int, width: int) -> None:
        """A table of many rows whose ``text`` is ``width`` long."""

    def source(self, **changes: Any) -> Source:
        given = {"kind": self.kind, "url": self.url, **changes}
        return Source.model_validate(given)

    @contextmanager
    def opened(self, **changes: Any) -> Iterator[Connector]:
        made = connector("bank", self.source(**changes))
        try:
            made.open()
            yield made
        finally:
            made.close()
            made.close()


class ConnectorSuite:
    """The tests; a subclass has the fixture ``bank``."""

    def test_texts_arrive_exactly(self, bank: Bank) -> None:
        bank.make("t", [{"id": i, "text": text} for i, text in enumerate([*TRICKY, None])])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "id", "text"))
        assert {int(row["id"]): row["text"] for row in rows} == dict(enumerate([*TRICKY, None]))
        assert {row[BAD_COLUMN] for row in rows} == {None}

    def test_one_column_of_nulls_and_empty_texts_keeps_its_rows(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1}, {"id": 2, "text": ""}, {"id": 3}])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "text"))
        assert sorted(str(row["text"]) for row in rows) == ["", "None", "None"]

    def test_integers_keep_every_digit(self, bank: Bank) -> None:
        wanted = [0, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
        bank.make("t", [{"id": each} for each in wanted])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "id"))
        assert sorted(int(row["id"]) for row in rows) == sorted(wanted)

    def test_decimals_and_doubles_are_exact(self, bank: Bank) -> None:
        doubles = [0.1, 1 / 3, 1e300, -5e-324, 123456789.123456789]
        bank.make("t", [{"id": i, "number": each} for i, each in enumerate(doubles)])
        bank.make("u", [{"id": 1, "amount": "12345678901234567.89"}, {"id": 2, "amount": "1.10"}])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "id", "number"))
            assert {int(r["id"]): float(r["number"]) for r in rows} == dict(enumerate(doubles))
            found = {str(row["amount"]) for row in rows_of(opened, query("u", "amount"))}
        assert found == {"12345678901234567.89", "1.10"}

    def test_an_empty_table_has_no_rows(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened:
            assert rows_of(opened, query("t", "id", "text")) == []

    def test_all_chunks_together_are_the_table(self, bank: Bank) -> None:
        bank.make("t", [{"id": i, "text": "x" * 100} for i in range(5000)])
        with bank.opened() as opened:
            frames = list(opened.read(query("t", "id", "text"), 50_000))
        assert len(frames) > 5
        assert sorted(int(i) for frame in frames for i in frame["id"]) == list(range(5000))

    def test_after_an_early_end_the_connector_serves_on(self, bank: Bank) -> None:
        # Far more than the network holds: the server is still sending when the reader stops.
        bank.fill("big", 60_000, 1000)
        with bank.opened() as opened:
            chunks = opened.read(query("big", "id", "text"), 10_000)
            next(chunks)
            chunks.close()  # type: ignore[attr-defined]
            assert len(rows_of(opened, query("big", "id"))) == 60_000

    def test_paths_lead_into_documents(self, bank: Bank) -> None:
        docs = [{"a": {"b": "x"}}, {"a": {"b": None}}, {"a": {}}, {"a": {"b": "\u00fc\U0001f600"}}]
        bank.make("t", [{"id": i, "doc": doc} for i, doc in enumerate([*docs, None])])
        with bank.opened() as opened:
            rows = rows_of(opened, query("t", "id", b="doc.a.b:string", a="doc.a:json"))
        found = {int(row["id"]): (row["b"], row["a"] and row["a"].replace(" ", "")) for row in rows}
        assert found[0] == ("x", '{"b":"x"}')
        assert found[1] == (None, '{"b":null}')
        assert found[2] == (None, "{}")
        assert found[3][0] == "\u00fc\U0001f600"
        assert found[4] == (None, None)

    def test_unnest_makes_a_row_of_each_element(self, bank: Bank) -> None:
        docs: list[Any] = [
            {"tags": ["a", "b"]},
            {"tags": []},
            {"tags": None},
            {},
            {"tags": ["", None]},
        ]
        bank.make("t", [{"id": i, "doc": doc} for i, doc in enumerate(docs)])
        with bank.opened() as opened:
            wanted = query("t", "id", unnest="doc.tags", tag="doc.tags:string")
            rows = rows_of(opened, wanted)
        found = sorted((int(r["id"]), str(r["tag"]), r[EMPTY]) for r in rows)
        assert found == sorted(
            [
                (0, "a", False),
                (0, "b", False),
                (1, "None", True),
                (2, "None", True),
                (3, "None", True),
                (4, "", False),
                (4, "None", False),
            ]
        )
        assert {row[BAD_COLUMN] for row in rows} == {None}

    def test_unnest_reads_the_fields_of_elements(self, bank: Bank) -> None:
        doc = {"items": [{"sku": "A1", "x": {"y": "z"}}, {"x": {}}], "n": "outer"}
        bank.make("t", [{"id": 1, "doc": doc}])
        with bank.opened() as opened:
            places = {"sku": "doc.items.sku:string", "y": "doc.items.x.y:string"}
            rows = rows_of(opened, query("t", "id", unnest="doc.items", n="doc.n:string", **places))
        assert [(r["sku"], r["y"], r["n"]) for r in rows] == [
            ("A1", "z", "outer"),
            (None, None, "outer"),
        ]

    def test_what_is_no_array_is_bad_and_not_empty(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "doc": {"tags": {"no": "array"}}}])
        with bank.opened() as opened:
            wanted = query("t", "id", unnest="doc.tags", tag="doc.tags:string")
            (row,) = rows_of(opened, wanted)
        assert (row["tag"], row[BAD_COLUMN], row[EMPTY]) == (None, "tag", False)

    def test_two_tables_are_read_in_one_snapshot(self, bank: Bank) -> None:
        bank.make("t", [{"id": i} for i in range(10)])
        bank.make("u", [{"id": i} for i in range(10, 20)])
        with bank.opened() as opened:
            first = rows_of(opened, query("t", "id"))
            bank.move(15, "u", "t")
            second = rows_of(opened, query("u", "id"))
            consistency = opened.consistency
        if consistency == "snapshot":
            assert sorted(int(r["id"]) for r in first + second) == list(range(20))
        else:
            assert len(first + second) == 19, "without snapshots the moved row is missed"

    def test_the_snapshot_is_that_of_open(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1}])
        bank.make("u", [])
        with bank.opened() as opened:
            bank.move(1, "t", "u")
            seen = len(rows_of(opened, query("t", "id")))
            assert seen == (1 if opened.consistency == "snapshot" else 0)

    def test_a_missing_relation_is_named(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened:
            with pytest.raises(SourceDrift, match="nowhere"):
                opened.describe(query("nowhere", "id"))
            opened.describe(query("t", "id"))

    def test_a_table_larger_than_the_bound_is_never_whole_in_memory(self, bank: Bank) -> None:
        bank.fill("big", 100_000, 1000)
        script = Path(__file__).with_name("read_big.py")
        command = [sys.executable, str(script), bank.kind, bank.source().url.get_secret_value()]
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            command, capture_output=True, text=True, env={"PYTHONPATH": root}, check=False
        )
        assert done.returncode == 0, done.stderr
        rows, chunks, grown_mib = map(int, done.stdout.split())
        assert rows == 100_000
        assert chunks > 50
        assert grown_mib < 80

    def test_what_is_closed_reads_no_more(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened:
            opened.close()
            with pytest.raises(SourceUnavailable):
                rows_of(opened, query("t", "id"))


class SqlSuite(ConnectorSuite):
    """What holds where columns are fixed."""

    def test_all_missing_columns_are_named(self, bank: Bank) -> None:
        bank.make("t", [])
        with bank.opened() as opened:
            wanted = query("t", "id", gone="gone:string", lost="lost.deep:string")
            with pytest.raises(SourceDrift, match=r"gone, lost\.deep") as caught:
                opened.describe(wanted)
        assert caught.value.dataset == "bank.t"

    def test_numbers_in_documents_keep_their_digits(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "doc": {"a": "RAW"}}])
        with bank.opened() as opened:
            wanted = query("t", n="doc.a:decimal")
            assert [row["n"] for row in rows_of(opened, wanted)] == ["RAW"]
        self.set_document(bank, '{"a": 12345678901234567890.10}')
        with bank.opened() as opened:
            assert [row["n"] for row in rows_of(opened, wanted)] == ["12345678901234567890.10"]

    def set_document(self, bank: Any, text: str) -> None:
        bank.run(f"UPDATE t SET doc = '{text}'")

    def test_a_query_text_takes_the_place_of_a_table(self, bank: Bank) -> None:
        bank.make("t", [{"id": 1, "text": "100%"}, {"id": 2, "text": "b"}])
        text = "SELECT id, text AS label FROM t WHERE text LIKE '%\\%' ESCAPE '\\' -- why; \n;"
        if bank.url.startswith("mysql"):
            text = text.replace("ESCAPE '\\'", "")
        wanted = Query("bank.q", "q", (QueryColumn("label", "label", None),), text=text)
        with bank.opened() as opened:
            assert [row["label"] for row in rows_of(opened, wanted)] == ["100%"]


class ServerSuite:
    """What holds for servers: they are down, refuse, or end in the middle of a read."""

    def test_a_server_that_is_down_is_unavailable(self, bank: Bank) -> None:
        url = re.sub(r"//[^/]*/", f"//u:{CANARY}@127.0.0.1:1/", bank.url, count=1)
        down = bank.opened(url=url, connect_timeout_s=1)
        with pytest.raises(SourceUnavailable) as caught, down:
            pass
        assert_no_secret(caught.value)

    def test_a_killed_read_is_not_complete(self, bank: Any) -> None:
        bank.fill("big", 60_000, 1000)
        with bank.opened() as opened, pytest.raises(SourceUnavailable) as caught:
            for _ in opened.read(query("big", "id", "text"), 100_000):
                bank.kill_readers()
        assert caught.value.dataset == "bank.big"

    def test_a_missing_grant_is_denied(self, bank: Any) -> None:
        bank.make("t", [{"id": 1, "text": CANARY}])
        url = bank.user_without_grant("t", CANARY)
        with bank.opened(url=url) as opened, pytest.raises(SourceDenied) as caught:
            rows_of(opened, query("t", "id", "text"))
        assert_no_secret(caught.value)

    def test_a_wrong_password_is_denied(self, bank: Any) -> None:
        bank.make("t", [])
        url = bank.user_without_grant("t", "right").replace("right", CANARY)
        with pytest.raises(SourceDenied) as caught, bank.opened(url=url):
            pass
        assert_no_secret(caught.value)


def assert_no_secret(error: BaseException) -> None:
    """Neither the error nor what it hides names the password."""
    assert error.__suppress_context__
    assert CANARY not in f"{error} {error!r} {error.args}"
