"""A small bank of finished documents, and both readers behind one face."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import argon2
import bcrypt
import orjson
import redis

from core.document import Meta, digest, sealed
from core.reading import Reading
from store.access import Access
from store.client import client_of
from store.freshness import keep_view
from store.index import create
from store.index_schema import IndexSchema
from store.keys import Keys
from store.login import AsyncLogin, Login
from store.reader import AsyncReader, Reader

CANARY = "c4nary"
PASSWORD = f"{CANARY}-secret"
ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASH = ARGON2.hash(PASSWORD)
BCRYPT = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
NUMBERS = itertools.count(1)


def fields_of(user_id: int, **more: Any) -> dict[str, Any]:
    """An ordinary user."""
    return {
        "user_id": user_id,
        "identity": {"email": f"user{user_id}@bank.example", "name": f"User {user_id}"},
        "auth": {"locked": False, "closed": False},
        "permissions": ["payments.create", "accounts.read"],
        "roles": ["customer"],
        "features": {"cards": True, "loans": False},
        **more,
    }


@dataclass
class Shelf:
    """Documents of one profile in one Redis, put there by hand."""

    url: str
    case_sensitive: bool = False
    schema_version: int = 2
    reading: Reading = field(init=False)
    keys: Keys = field(init=False)
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        name = f"r{next(NUMBERS):04d}"
        email = {"name": "email", "type": "tag", "path": "$.identity.email", "unique": True}
        email["attrs"] = {"case_sensitive": self.case_sensitive}
        self.reading = Reading.model_validate(
            {
                "profile": {
                    "name": name,
                    "key": name + "p:{user_id}",
                    "credential_key": name + "c:{user_id}",
                    "anchor": "a.b",
                    "user_id": {"type": "integer"},
                    "schema_version": self.schema_version,
                    "buckets": 4,
                },
                "index": {
                    "fields": [
                        email,
                        {"name": "name", "type": "text", "path": "$.identity.name"},
                    ]
                },
            }
        )
        self.keys = Keys(self.reading.profile)
        self.client = client_of(self.url)
        keep_view(self.client, self.keys, 5, NOW - timedelta(hours=1))

    @property
    def schema(self) -> IndexSchema:
        return IndexSchema(self.reading)

    def index(self) -> None:
        create(self.client, self.keys, self.schema)

    def put(
        self,
        user_id: int,
        *,
        key: int | None = None,
        version: int | None = None,
        epoch: int = 5,
        held: str | None = None,
        password: str | None = HASH,
        sound: bool = True,
        owner: int | None = None,
        **more: Any,
    ) -> None:
        """Stores a user's documents."""
        fields = {name: v for name, v in fields_of(user_id, **more).items() if v is not ...}
        at = str(user_id if key is None else key)
        self._set(self.keys.profile(at), fields, version, epoch, held, sound)
        if password is not None:
            secrets = {"user_id": owner or user_id, "auth": {"password_hash": password}}
            self._set(self.keys.credential(at), secrets, version, epoch, held, True)

    def floor(self, user_id: int, epoch: int) -> None:
        self.client.set(self.keys.floor(self.keys.bucket_of(str(user_id))), epoch)

    def _set(
        self,
        key: bytes,
        fields: dict[str, Any],
        version: int | None,
        epoch: int,
        held: str | None,
        sound: bool,
    ) -> None:
        body, number = (
            orjson.dumps(fields)[:-1],
            self.schema_version if version is None else version,
        )
        made = digest(body, number, held) if sound else "0" * 32
        text = sealed(body, Meta(number, epoch, made, held))
        self.client.execute_command("JSON.SET", key, "$", text)


class Face:
    """Either reader with its login, called alike."""

    def __init__(
        self,
        mode: str,
        shelf: Shelf,
        *,
        url: str | None = None,
        secret_url: str | None = None,
        access: Access = Access(),
        now: Callable[[], datetime] = lambda: NOW,
        **more: Any,
    ) -> None:
        url = url or shelf.url
        self._loop = asyncio.new_event_loop() if mode == "async" else None
        reader_of: Any = AsyncReader if self._loop else Reader
        login_of: Any = AsyncLogin if self._loop else Login
        self.reader = reader_of(url, shelf.reading, access, now=now, **more)
        self.login = login_of(secret_url or url, self.reader, dummy_hash=HASH)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        owner = self.login if name == "authenticate" else self.reader
        return lambda *args, **kwargs: self._told(getattr(owner, name)(*args, **kwargs))

    def close(self) -> None:
        self._told(self.login.close())
        self._told(self.reader.close())
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _told(self, answer: Any) -> Any:
        if self._loop is None:
            return answer

        async def awaited() -> Any:
            return await answer

        return self._loop.run_until_complete(awaited())
