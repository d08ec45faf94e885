"""Writes engagement into MongoDB: documents in large unordered batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import polars as pl
from pymongo import MongoClient

from devstack.bank.core_rows import Frames
from devstack.bank.documents import COLLECTIONS, documents_of

AT_ONCE = 5_000
_KEYS = {
    "preferences": "email",
    "contact": "customer_no",
    "demographics": "customer_no",
    "portfolio": "customer_no",
    "devices": "customer_no",
    "wish_list": "customer_no",
}
_ANY_CASE = {"locale": "en", "strength": 2, "alternate": "shifted"}
"""A collation that takes for the same what differs in capitals or white space.

Who asks for `trim` or `case_insensitive` is served by an index with this one only; see connectors.
"""


class MongoWriter:
    """The bank's database in MongoDB; every batch is visible at once."""

    tables = COLLECTIONS

    def __init__(self, url: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(url)
        self._database = self._client.get_default_database()

    def create(self) -> None:
        self._client.drop_database(self._database.name)
        for name in self.tables:
            self._database.create_collection(name)

    def write(self, frames: Frames) -> int:
        written = 0
        for name in self.tables:
            if name in frames and frames[name].height:
                for batch in _batches(documents_of(name, frames)):
                    self._database[name].insert_many(batch, ordered=False)
                    written += len(batch)
        return written

    def index(self) -> None:
        for name, key in _KEYS.items():
            self._database[name].create_index(key, collation=_ANY_CASE)
            self._database[name].create_index("updated_at")
        self._database["preferences"].create_index("email", name="as_it_is")

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        ids = keys["_id"].to_list()
        for start in range(0, len(ids), AT_ONCE):
            part = ids[start : start + AT_ONCE]
            self._database[table].delete_many({"_id": {"$in": part}})

    def commit(self) -> None:
        """There is nothing to commit."""

    def close(self) -> None:
        self._client.close()


def _batches(documents: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(documents)
    while batch := list(islice(left, AT_ONCE)):
        yield batch
