"""A small demo bank in a Redis of its own, and the example app as a server on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import redis
import uvicorn

from core.document import Meta, digest, sealed
from core.reading import Reading
from devstack import RedisServer
from devstack.bank import Book
from devstack.bank.expected import expected_of
from devstack.bank.moves import state_on
from devstack.bank.passwords import hashes, password
from devstack.bank.profiles import profile_of
from examples.bank_app.app import Settings, create_app
from examples.bank_app.redis_users import redis_users
from store.client import client_of
from store.freshness import keep_view
from store.index import create
from store.index_schema import IndexSchema
from store.keys import Keys
from store.reader import reading_of

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "examples/demo_bank/pipeline.yaml"
SEED, USERS = 5, 240
EPOCH, OLD_EPOCH = 5, 3
SECRET = "s" * 40
HASH = hashes(SEED)[0]
PASSWORD = password(0)

Document = dict[str, Any]
Serve = Callable[..., httpx.Client]


@dataclass
class DemoBank:
    """The documents that a run makes of the demo bank's customers, stored without a run.

    ``profiles`` are those of the bank's own model, which tests of the runs hold them against.
    """

    url: str
    profiles: Mapping[int, tuple[Document, Document]]
    reading: Reading = field(init=False)
    keys: Keys = field(init=False)
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self.reading = reading_of(CONFIG)
        self.keys = Keys(self.reading.profile)
        self.client = client_of(self.url)

    def fill(self) -> None:
        """Stores all of them, and makes the index."""
        keep_view(self.client, self.keys, EPOCH, datetime.now(UTC) - timedelta(hours=2))
        keep_view(self.client, self.keys, OLD_EPOCH, datetime.now(UTC) - timedelta(days=3))
        for profile, credential in self.profiles.values():
            self.store(profile, credential)
        create(self.client, self.keys, IndexSchema(self.reading))

    def store(
        self,
        profile: Document,
        credential: Document | None,
        *,
        key: int | None = None,
        epoch: int = EPOCH,
        held: str | None = None,
        version: int = 1,
        sound: bool = True,
    ) -> None:
        """Stores a user's documents, under another's key where one is given."""
        at = str(profile["user_id"] if key is None else key)
        pairs = [(self.keys.profile(at), profile), (self.keys.credential(at), credential)]
        for name, fields in pairs:
            if fields is None:
                self.client.delete(name)
                continue
            body = orjson.dumps(fields)[:-1]
            made = digest(body, version, held) if sound or name != pairs[0][0] else "0" * 32
            text = sealed(body, Meta(version, epoch, made, held))
            self.client.execute_command("JSON.SET", name, "$", text)

    def put(self, user: int, *, password_hash: str | None = HASH, **more: Any) -> str:
        """Stores an ordinary user with ``PASSWORD``; gives the e-mail address.

        Args:
            more: for ``store``, or sections (``...`` leaves one out).
        """
        how = {n: more.pop(n) for n in ("key", "epoch", "held", "version", "sound") if n in more}
        sections = ordinary(user, **more)
        profile = {name: value for name, value in sections.items() if value is not ...}
        secret = {"user_id": user, "auth": {"password_hash": password_hash}}
        self.store(profile, secret if password_hash else None, **how)
        email: str = profile["identity"]["email"]
        return email


def ordinary(user: int, **more: Any) -> Document:
    """The sections of a user who may come in."""
    return {
        "user_id": user,
        "identity": {"name": f"User {user}", "email": f"user{user}@bank.example"},
        "auth": {"locked": False, "closed": False},
        "roles": ["customer"],
        "permissions": ["accounts.read", "payments.create"],
        "features": ["dark_mode"],
        **more,
    }


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoBank]:
    expected = expected_of(state_on(Book(users=USERS, seed=SEED), 0).frames)
    profiles = {user: profile_of(user, expected) for user in expected.users}
    with RedisServer(tmp_path_factory.mktemp("bank_app") / "redis").start() as server:
        made = DemoBank(server.url, profiles)
        made.fill()
        yield made
        made.client.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may end."""
    with RedisServer(tmp_path / "redis").start() as running:
        yield running


@pytest.fixture
def own_bank(own_server: RedisServer) -> Iterator[DemoBank]:
    """A bank in it, with nobody but whom the test puts there."""
    made = DemoBank(own_server.url, {})
    made.fill()
    yield made
    made.client.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the app on a bank; gives a client of it. All ends with the test."""
    with ExitStack() as running:

        def start(bank: DemoBank, **settings: Any) -> httpx.Client:
            urls = running.enter_context(redis_users(bank.url))
            given = {
                "profiles_url": urls.profiles,
                "credentials_url": urls.credentials,
                "reading": bank.reading,
                "session_secret": SECRET,
                "dummy_hash": HASH,
            }
            url = running.enter_context(_served(Settings(**(given | settings))))
            return running.enter_context(httpx.Client(base_url=url))

        yield start


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    config = uvicorn.Config(create_app(settings), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
