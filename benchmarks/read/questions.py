"""The questions, asked of Redis through the product's reader, of PostgreSQL and of MongoDB.

An answer is true where it is the one expected: the user asked for, with what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.types.json import set_json_loads
from pymongo import MongoClient

from benchmarks.read.joins import BY_EMAIL, BY_ID, PERMISSIONS, SEARCH
from core.reading import Reading
from store.client import client_of
from store.reader import Reader, reading_of
from store.search import search

LOOK_UPS = ("id", "path", "email")
QUESTIONS = (*LOOK_UPS, "search")
HITS = 10
DATABASE = "read_peer"
"""Of the peers."""


@dataclass(frozen=True)
class Sample:
    """Whom to ask about: users, e-mail addresses with their user, cities with a wish."""

    users: list[int]
    emails: list[tuple[str, int]]
    wishes: list[tuple[str, str]]

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_bytes(orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Sample:
        """Reads it."""
        return cls(**orjson.loads(path.read_bytes()))


class Asker:
    """Asks one server over one connection."""

    def __init__(self, sample: Sample, ways: Mapping[str, Callable[..., bool]]) -> None:
        self._ways = ways
        self._subjects: dict[str, Sequence[tuple[Any, ...]]] = {
            "id": [(user,) for user in sample.users],
            "path": [(user,) for user in sample.users],
            "email": sample.emails,
            "search": sample.wishes,
        }

    def ask(self, question: str, number: int) -> bool:
        """Whether the answer is the one expected."""
        subjects = self._subjects[question]
        return self._ways[question](*subjects[number % len(subjects)])


@contextmanager
def asker(subject: str, url: str, config: str, sample: Sample) -> Iterator[Asker]:
    """Asks Redis, PostgreSQL or MongoDB; its connection is closed at the end."""
    with _WAYS[subject](url, config) as ways:
        yield Asker(sample, ways)


@contextmanager
def _redis(url: str, config: str) -> Iterator[Mapping[str, Callable[..., bool]]]:
    reading = _reading(config)
    with Reader(url, reading, connections=1) as reader, client_of(url) as client:

        def by_id(user: int) -> bool:
            found = reader.get(user)
            return found is not None and found.user_id == str(user)

        def permissions(user: int) -> bool:
            found = reader.get(user, "permissions")
            return found is not None and isinstance(found["permissions"], list)

        def by_email(email: str, user: int) -> bool:
            found = reader.by_email(email)
            return found is not None and found.user_id == str(user)

        def wished(city: str, category: str) -> bool:
            hits = search(client, reading, wish_query(city, category), HITS)
            return len(hits.documents) == HITS

        yield {"id": by_id, "path": permissions, "email": by_email, "search": wished}


@contextmanager
def _postgresql(url: str, config: str) -> Iterator[Mapping[str, Callable[..., bool]]]:
    del config
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        set_json_loads(orjson.loads, connection)

        def rows(statement: str, *values: object) -> list[tuple[Any, ...]]:
            return connection.execute(statement.encode(), values).fetchall()

        def by_id(user: int) -> bool:
            return bool(rows(BY_ID, user)[0][0]["user_id"] == user)

        def permissions(user: int) -> bool:
            return isinstance(rows(PERMISSIONS, user)[0][0], list)

        def by_email(email: str, user: int) -> bool:
            return bool(rows(BY_EMAIL, email)[0][0]["user_id"] == user)

        def wished(city: str, category: str) -> bool:
            return len(rows(SEARCH, city, category, HITS)) >= HITS

        yield {"id": by_id, "path": permissions, "email": by_email, "search": wished}


@contextmanager
def _mongodb(url: str, config: str) -> Iterator[Mapping[str, Callable[..., bool]]]:
    del config
    client: MongoClient[dict[str, Any]] = MongoClient(url, maxPoolSize=1)
    profiles = client[DATABASE]["profile"]
    try:

        def by_id(user: int) -> bool:
            found = profiles.find_one({"_id": user})
            return found is not None and found["user_id"] == user

        def permissions(user: int) -> bool:
            found = profiles.find_one({"_id": user}, {"permissions": 1})
            return found is not None and isinstance(found["permissions"], list)

        def by_email(email: str, user: int) -> bool:
            found = profiles.find_one({"login": email.lower()})
            return found is not None and found["user_id"] == user

        def wished(city: str, category: str) -> bool:
            where = {"identity.address.city": city, "wish_list.category": category}
            return len(list(profiles.find(where).limit(HITS))) == HITS

        yield {"id": by_id, "path": permissions, "email": by_email, "search": wished}
    finally:
        client.close()


_WAYS = {"redis": _redis, "postgresql": _postgresql, "mongodb": _mongodb}


@cache
def _reading(config: str) -> Reading:
    return reading_of(config)


def wish_query(city: str, category: str) -> str:
    """Who lives in a city and wishes something of a category, for RediSearch."""
    return f"@city:{{{_escaped(city)}}} @wishlist:{{{_escaped(category)}}}"


def _escaped(text: str) -> str:
    return re.sub(r"(\W)", r"\\\1", text)
