"""MongoDB: raw batches of the needed fields, decoded by the driver's C code.

Reads: the collections that the pipeline file names, projected to the fields named there.
Grants: ``find`` on those collections (the role ``read``).
Order: none; documents come as the server sends them.
One snapshot: replica sets and mongos (5.0 and later) read everything at one cluster time; a
standalone server and a hidden member have no snapshots: there a document that is written meanwhile
may be seen before or after, and ``consistency`` says ``none``.
Time: the source's time is that of the last majority-committed write before the snapshot, so a
secondary that lags says so.
On failure: an error of ``core.errors``; in a snapshot, a read counts as whole only when as many
documents arrived as the server counts there. The server keeps a snapshot for
``minSnapshotHistoryWindowInSeconds`` (300 by default): a longer extraction ends as SourceConflict.
Cannot know: a misspelt field (every document then lacks it); which of several values a document
with the same field twice means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import cast

import pandas as pd
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidName, InvalidURI, PyMongoError
from pymongo.read_concern import ReadConcern

from connectors.bson_frame import CODEC, PIECE_BYTES, Document, frame_of, part_of, slices
from connectors.chunks import chunks
from connectors.mongodb_errors import translated
from connectors.mongodb_filters import Find, find
from connectors.replicas import bound_lag
from connectors.tls import check_mongodb
from core.errors import ConfigError, SourceDrift, SourceError, SourceUnavailable
from core.pipeline import Source
from core.records import Consistency, Query
from core.values import ColumnType

SNAPSHOT_WIRE_VERSION = 13
"""MongoDB 5.0, the first with snapshot reads outside of transactions."""

ANSWER_S = 30
"""What the network may take beside the server's own time limit."""


class MongoConnector:
    """A view of one MongoDB database; a snapshot where the server has them."""

    def __init__(self, name: str, source: Source) -> None:
        self._name, self._source = name, source
        check_mongodb(name, source.url.get_secret_value())
        self._client: MongoClient[Document] | None = None
        self._database: Database[Document] | None = None
        self._session: ClientSession | None = None

    @property
    def consistency(self) -> Consistency:
        return "none" if self._session is None else "snapshot"

    def open(self) -> datetime:
        client = self._client = self._connected()
        with self._edge(None):
            self._database = self._named_database(client)
            hello = client.admin.command("hello", read_preference=client.read_preference)
            in_set = "setName" in hello or hello.get("msg") == "isdbgrid"
            # The driver has no sessions with a hidden member.
            in_set = in_set and not hello.get("hidden")
            if in_set and hello.get("maxWireVersion", 0) >= SNAPSHOT_WIRE_VERSION:
                self._session = client.start_session(snapshot=True)
                self._fix_snapshot(self._database)
        written = hello.get("lastWrite", {}).get("majorityWriteDate")
        if hello.get("secondary"):
            # A primary without work writes something every 10 s (periodicNoopIntervalSecs).
            bound_lag(self._name, self._source, (hello["localTime"] - written).total_seconds())
        as_of: datetime = written or hello.get("localTime") or datetime.now(UTC)
        return as_of.replace(tzinfo=UTC)

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        types = {each.name: each.type for each in query.columns}
        untyped = sorted(name for name, declared in types.items() if declared is None)
        if untyped:
            raise ConfigError(
                f"dataset {query.dataset}: MongoDB columns need a type: {', '.join(untyped)}"
            )
        with self._edge(query):
            collection = self._collection(query.relation)
            collection.find_one({}, {"_id": 1}, session=self._session)
            known = collection.database.list_collection_names(
                filter={"name": query.relation}, authorizedCollections=True
            )
        if query.relation not in known:
            raise SourceDrift(self._name, f"there is no collection {query.relation}", query.dataset)
        return {name: declared for name, declared in types.items() if declared is not None}

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        types = self.describe(query)
        with self._edge(query):
            collection, wanted = self._collection(query.relation), find(query, types)
            there, seen = self._count(collection, wanted), 0
            cursor = collection.find_raw_batches(
                wanted.filter,
                projection(query),
                collation=wanted.collation,
                session=self._session,
                max_time_ms=self._limit_ms,
            )
            with cursor:
                pieces = slices(cast("Iterable[bytes]", cursor), min(chunk_bytes, PIECE_BYTES))
                for chunk in chunks(pieces, chunk_bytes):
                    parts = [part_of(query, types, piece) for piece in chunk]
                    seen += sum(part.documents for part in parts)
                    yield frame_of(parts)
            if there is not None and seen != there:
                text = f"the snapshot has {there} documents, {seen} arrived"
                raise SourceUnavailable(self._name, text, query.dataset)

    def close(self) -> None:
        client, session = self._client, self._session
        self._client = self._database = self._session = None
        with suppress(PyMongoError):
            if session is not None:
                session.end_session()
        if client is not None:
            client.close()

    def _count(self, collection: Collection[Document], wanted: Find) -> int | None:
        """How many documents a find has in the snapshot; None without one."""
        if self._session is None:
            return None
        steps: list[Document] = [{"$match": wanted.filter}, {"$count": "there"}]
        counted = collection.aggregate(
            steps, self._session, collation=wanted.collation, maxTimeMS=self._limit_ms
        )
        return sum(int(each["there"]) for each in counted)

    @property
    def _limit_ms(self) -> int:
        return round(self._source.statement_timeout_s * 1000)

    def _connected(self) -> MongoClient[Document]:
        wait_ms = round(self._source.connect_timeout_s * 1000)
        try:
            return MongoClient(
                self._source.url.get_secret_value(),
                appname="profile-prefetch",
                serverSelectionTimeoutMS=wait_ms,
                connectTimeoutMS=wait_ms,
                socketTimeoutMS=round((self._source.statement_timeout_s + ANSWER_S) * 1000),
                # One reader: more connections would only wait.
                maxPoolSize=2,
                tz_aware=False,
            )
        except (InvalidURI, ConfigurationError, ValueError, TypeError):
            raise ConfigError(f"source {self._name}: the URL is not valid") from None
        except PyMongoError as error:
            raise translated(self._name, self._source, None, error) from None

    def _named_database(self, client: MongoClient[Document]) -> Database[Document]:
        try:
            return client.get_default_database(self._source.database)
        except (ConfigurationError, InvalidName):
            raise ConfigError(f"source {self._name}: no valid `database` is given") from None

    def _fix_snapshot(self, database: Database[Document]) -> None:
        """Reads one document: the first answer in a session sets its cluster time."""
        names = database.list_collection_names(authorizedCollections=True)
        # The server's own ones, as that of the profiler, are in no snapshot.
        own = [name for name in names if not name.startswith("system.")]
        if own:
            database[own[0]].find_one({}, {"_id": 1}, session=self._session)

    def _collection(self, name: str) -> Collection[Document]:
        if self._database is None:
            raise SourceUnavailable(self._name, "the connector is not open")
        concern = ReadConcern() if self._session else ReadConcern("majority")
        return self._database.get_collection(name, codec_options=CODEC, read_concern=concern)

    @contextmanager
    def _edge(self, query: Query | None) -> Iterator[None]:
        """Lets no error of the driver through."""
        dataset = query.dataset if query else None
        try:
            yield
        except PyMongoError as error:
            raise translated(self._name, self._source, dataset, error) from None
        except BSONError:
            raise SourceError(self._name, "a document is no BSON", dataset) from None


def projection(query: Query) -> dict[str, int]:
    """The fields to ask for. A path below another one is left out: the server refuses both."""
    paths = {each.path for each in query.columns} | ({query.unnest} if query.unnest else set())
    wanted = {path for path in paths if not any(path.startswith(p + ".") for p in paths)}
    fields = dict.fromkeys(sorted(wanted), 1)
    if not any(path == "_id" or path.startswith("_id.") for path in wanted):
        # An empty projection would mean every field.
        fields["_id"] = 0 if fields else 1
    return fields
