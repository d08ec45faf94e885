"""Fills the peers: PostgreSQL with the bank's rows in one database, MongoDB with the profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
from pymongo import MongoClient

from benchmarks.read.joins import TABLES
from benchmarks.read.questions import DATABASE
from devstack.bank import Book
from devstack.bank.postgres_writer import PostgresWriter
from devstack.bank.state import blocks_of, opening_state
from store.client import Client

AT_ONCE = 100


def fill_postgresql(admin: str, book: Book) -> str:
    """Writes all product lines into one database, indexed; its URL for libpq."""
    url = sa.engine.make_url(admin).set(database=DATABASE).render_as_string(hide_password=False)
    writer = PostgresWriter(admin, url, TABLES)
    writer.create()
    for block in range(blocks_of(book.users)):
        frames = opening_state(book.seed, block, book.users).frames
        writer.write({name: frame for name, frame in frames.items() if name in TABLES})
        writer.commit()
    writer.index()
    writer.close()
    plain = sa.engine.make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


def fill_mongodb(server: str, redis: Client, prefix: str) -> None:
    """Copies every profile as one document, indexed by what the questions ask."""
    client: MongoClient[dict[str, Any]] = MongoClient(server)
    profiles = client[DATABASE]["profile"]
    profiles.drop()
    for keys in _chunks(redis.scan_iter(match=f"{prefix}*", count=1_000)):
        profiles.insert_many(list(_documents(redis, keys)), ordered=False)
    profiles.create_index("login")
    profiles.create_index([("identity.address.city", 1), ("wish_list.category", 1)])
    client.close()


def _documents(redis: Client, keys: list[bytes]) -> Iterator[dict[str, Any]]:
    for text in redis.execute_command("JSON.MGET", *keys, "$"):
        [profile] = orjson.loads(text)
        email = profile["identity"]["email"]
        yield {"_id": profile["user_id"], "login": email and email.lower(), **profile}


def _chunks(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(keys)
    while chunk := list(islice(left, AT_ONCE)):
        yield chunk
