"""A Redis of these tests' own, and a bank: one profile name with keys that nobody else uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import redis

from core.document import Meta, digest, opened, sealed
from core.pipeline import Profile
from core.records import BucketDocuments
from devstack import RedisServer
from store.client import Timeouts, client_of
from store.facts import Server
from store.keys import Keys
from store.outcome import Checked, Expected, Loaded, Removed
from store.readback import check_bucket
from store.writer import BucketWriter, Limits, Pass
from tests.faults.proxy import Proxy

NUMBERS = itertools.count(1)
FAST = Timeouts(connect_s=1.0, answer_s=2.0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill or configure."""
    with RedisServer(tmp_path / "redis") as running:
        yield running


@dataclass
class Bank:
    """What a test needs of one profile in one Redis."""

    url: str
    keys: Keys
    client: redis.Redis
    limits: Limits = field(default_factory=lambda: Limits(fence_wait_s=5, fence_alive_s=2))

    def draw(self) -> int:
        return int(self.client.incr(self.keys.epoch))

    def body(self, user_id: str, version: int, size: int = 0) -> bytes:
        document = {"user_id": user_id, "version": version, "n": 1e16, "pad": "x" * size}
        return orjson.dumps(document)[:-1]

    def documents(
        self,
        users: int | list[str],
        version: int = 1,
        *,
        size: int = 0,
        credentials: bool = True,
        held: dict[str, str] | None = None,
    ) -> BucketDocuments:
        ids = [str(n) for n in range(users)] if isinstance(users, int) else users
        return BucketDocuments(
            0,
            ids,
            [self.body(user_id, version, size) for user_id in ids],
            [self.body(user_id, version) if credentials else None for user_id in ids],
            held or {},
        )

    def load(
        self,
        documents: BucketDocuments,
        epoch: int | None = None,
        *,
        url: str | None = None,
        complete: bool = False,
        raise_epoch: bool = False,
        schema_version: int = 1,
        rewrite: set[str] | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts = FAST,
        server: Server | None = None,
    ) -> Loaded:
        this = self.this(epoch, complete, raise_epoch, schema_version)
        with BucketWriter(
            url or self.url,
            self.keys,
            limits=limits or self.limits,
            timeouts=timeouts,
            server=server,
        ) as writer:
            return writer.load(documents, this, rewrite or set())

    def remove(self, user_ids: list[str], epoch: int | None = None) -> Removed:
        with BucketWriter(self.url, self.keys, limits=self.limits, timeouts=FAST) as writer:
            return writer.remove(0, user_ids, self.this(epoch))

    def this(
        self,
        epoch: int | None = None,
        complete: bool = False,
        raise_epoch: bool = False,
        schema_version: int = 1,
    ) -> Pass:
        return Pass(epoch or self.draw(), uuid4().hex, schema_version, complete, raise_epoch)

    def check(self, expected: Expected) -> Checked:
        return check_bucket(self.url, self.keys, expected, timeouts=FAST)

    def profile(self, user_id: str) -> bytes | None:
        return self.client.execute_command("JSON.GET", self.keys.profile(user_id))

    def credential(self, user_id: str) -> bytes | None:
        return self.client.execute_command("JSON.GET", self.keys.credential(user_id))

    def meta(self, user_id: str) -> Meta:
        found = opened(self.profile(user_id) or b"")
        assert found is not None and found.sound
        return found.meta

    def version(self, user_id: str) -> int:
        return int(orjson.loads(self.profile(user_id) or b"{}")["version"])

    def put(
        self, user_id: str, version: int, epoch: int, *, key: bytes | None = None, good: bool = True
    ) -> None:
        """Stores a document by hand."""
        body = self.body(user_id, version)
        meta = Meta(1, epoch, digest(body, 1) if good else "0" * 32)
        name = key or self.keys.profile(user_id)
        self.client.execute_command("JSON.SET", name, "$", sealed(body, meta))

    def dump(self) -> dict[bytes, bytes | None]:
        """Every document of this profile, whole."""
        pattern = self.keys.profile_pattern.removesuffix("p:*") + "*"
        found = sorted(self.client.scan_iter(match=pattern, count=1000))
        return {key: self.client.execute_command("JSON.GET", key) for key in found}


def _bank(url: str, buckets: int = 1) -> Bank:
    name = f"t{next(NUMBERS):04d}"
    profile = Profile(
        name=name,
        key=name + "p:{user_id}",
        credential_key=name + "c:{user_id}",
        anchor="a.b",
        buckets=buckets,
    )
    return Bank(url, Keys(profile), client_of(url, Timeouts(connect_s=2, answer_s=10)))


@pytest.fixture
def bank(server: RedisServer) -> Iterator[Bank]:
    made = _bank(server.url)
    yield made
    made.client.close()


@pytest.fixture
def own_bank(own_server: RedisServer) -> Iterator[Bank]:
    made = _bank(own_server.url)
    yield made
    made.client.close()


@pytest.fixture
def make_bank() -> Callable[..., Bank]:
    return _bank


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    with Proxy(server.port) as made:
        yield made
