"""Other clients read what we have written: redis-cli, redis-py's own commands, and node-redis.

The node packages are installed once, into a folder that git ignores.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis
from redis.commands.search.query import Query

from core.reading import Reading
from core.records import BucketDocuments
from devstack import RedisServer
from devstack.folders import PROJECT, private_folder
from store.client import client_of
from store.index import create
from store.index_schema import IndexSchema
from store.keys import Keys
from store.reader import Reader
from store.writer import BucketWriter, Limits, Pass
from tests.programs import program

HERE = Path(__file__).with_name("interop")
CLIENTS = PROJECT / ".devstack" / "node-clients"
INSTALL = "install --no-package-lock --no-audit --no-fund --ignore-scripts".split()
INSTALL_S, READ_S = 240, 60
RULES = "-@all ~interop:* ~idx:interop +json.get +ft.search"
SECRET = "secret"

NAMES = {
    "7": 'Zoë "Ada" \\ Lovelace\t</script>',
    "8": "👩‍🚀 שרה 山田 e\u0301 \ufeff\u2028",
    "zoë/1 (*!')": "\x1b[31m\x07" + "long " * 3000,
}
"""By user id; the last one is encoded in its key."""


def document_of(user_id: str) -> dict[str, Any]:
    """All that is hard to get through a client."""
    return {
        "user_id": user_id,
        "identity": {
            "name": NAMES[user_id],
            "email": f"User+{len(user_id)}.x@bank.example",
            "address": {"city": "Zürich" if user_id != "8" else "St. Gallen"},
            "nothing": None,
        },
        "auth": {"locked": False},
        "values": {
            "balance": "12345678901234567.89",
            "zero": "0.00",
            "largest": 2**53,
            "smallest": -(2**53),
            "beyond": str(2**53 + 1),
            "whole": 3.0,
            "tenth": 0.1,
            "big": 1e16,
            "tiny": 5e-324,
            "day": "2024-02-29",
            "moment": "2024-02-29T23:59:59.123456Z",
            "true": True,
            "one": 1,
            "empty": [],
            "blank": "",
        },
        "spend": 1000.5 if user_id == "7" else 20,
        "wish_list": [
            {"title": "a “piano”", "category": "leisure"},
            {"title": "tent", "category": "travel" if user_id == "8" else "leisure"},
            {"category": None},
        ],
    }


DOCUMENTS = {user_id: document_of(user_id) for user_id in NAMES}
SEVEN, EIGHT, ODD = NAMES
QUERIES = {
    "@city:{Zürich}": {SEVEN, ODD},
    "@city:{St\\. Gallen}": {EIGHT},
    "@wishlist:{travel}": {EIGHT},
    "@wishlist:{leisure} @spend:[1000 +inf]": {SEVEN},
    "@spend:[-inf (1000.5]": {EIGHT, ODD},
    "@email:{user\\+1\\.x\\@bank\\.example}": {SEVEN, EIGHT},
    "@name:(Ada | 山田)": {SEVEN, EIGHT},
    "@city:{nowhere}": set(),
}
PATHS = ["$.identity.address.city", "$.wish_list[*].category", "$.identity.absent"]


@dataclass
class Shelf:
    """The documents in Redis, as our writer has put them there; the index over them."""

    server: RedisServer
    reading: Reading
    keys: Keys
    url: str

    def user_id(self, key: str) -> str:
        found = self.keys.user_id_of(key.encode())
        assert found is not None
        return found


@pytest.fixture(scope="module")
def shelf(server: RedisServer) -> Iterator[Shelf]:
    fields = [
        {"name": "email", "type": "tag", "path": "$.identity.email", "unique": True},
        {"name": "name", "type": "text", "path": "$.identity.name"},
        {"name": "city", "type": "tag", "path": "$.identity.address.city"},
        {"name": "wishlist", "type": "tag", "path": "$.wish_list[*].category"},
        {"name": "spend", "type": "numeric", "path": "$.spend"},
    ]
    profile = {
        "name": "interop",
        "key": "interop:{user_id}",
        "credential_key": "interop-secret:{user_id}",
        "anchor": "a.b",
        "buckets": 1,
    }
    reading = Reading.model_validate({"profile": profile, "index": {"fields": fields}})
    keys = Keys(reading.profile)
    bodies = [orjson.dumps(document)[:-1] for document in DOCUMENTS.values()]
    documents = BucketDocuments(0, list(DOCUMENTS), bodies, [None] * len(bodies))
    with client_of(server.url) as client:
        with BucketWriter(server.url, keys, limits=Limits()) as writer:
            epoch = client.incr(keys.epoch)
            writer.load(documents, Pass(epoch, uuid4().hex, 1, True, False), set())
        create(client, keys, IndexSchema(reading))
        client.execute_command("ACL", "SETUSER", "other", "on", f">{SECRET}", *RULES.split())
        url = server.url.replace("redis://", f"redis://other:{SECRET}@")
        yield Shelf(server, reading, keys, url)
        client.execute_command("ACL", "DELUSER", "other")


@pytest.fixture(scope="module")
def by_node(shelf: Shelf) -> dict[str, Any]:
    """What node-redis has read."""
    question = {
        "url": shelf.url,
        "userIds": list(DOCUMENTS),
        "paths": PATHS,
        "index": shelf.reading.index_name,
        "queries": list(QUERIES),
    }
    done = subprocess.run(
        [program("node"), "read.mjs"],
        cwd=_with_node_redis(),
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=READ_S,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _with_node_redis() -> Path:
    """A folder with the packages of package.json; they are fetched where they are not there."""
    folder = private_folder(CLIENTS)
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    installed = folder / "installed"
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        shutil.copy(HERE / "package.json", folder)
        done = subprocess.run(
            [program("npm"), *INSTALL],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_S,
        )
        assert done.returncode == 0, done.stderr
        installed.write_text(wanted, encoding="utf-8")
    shutil.copy(HERE / "read.mjs", folder)
    return folder


def exact(value: Any, *, one_kind_of_number: bool = False) -> Any:
    """A form of a value in which 1, 1.0 and true differ; JavaScript does not know the first two."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k != "_meta"}
        return {k: exact(v, one_kind_of_number=one_kind_of_number) for k, v in kept.items()}
    if isinstance(value, list):
        return [exact(v, one_kind_of_number=one_kind_of_number) for v in value]
    if one_kind_of_number and type(value) in (int, float):
        return "number", float(value)
    return type(value).__name__, value


def test_redis_cli(shelf: Shelf) -> None:
    for user_id, document in DOCUMENTS.items():
        key = shelf.keys.profile(user_id).decode()
        found = json.loads(shelf.server.cli("JSON.GET", key))
        assert exact(found) == exact(document)
        assert list(found) == [*document, "_meta"]
        parts = json.loads(shelf.server.cli("JSON.GET", key, *PATHS))
        assert parts == _parts(document)
    index = shelf.reading.index_name
    for query, users in QUERIES.items():
        text = shelf.server.cli("--json", "FT.SEARCH", index, query, "NOCONTENT", "DIALECT", "2")
        told = json.loads(text)
        assert {shelf.user_id(hit["id"]) for hit in told["results"]} == users, query
        assert told["total_results"] == len(users)


@pytest.mark.parametrize("options", [{}, {"protocol": 2}, {"decode_responses": True}], ids=str)
def test_redis_py(shelf: Shelf, options: dict[str, Any]) -> None:
    with redis.Redis.from_url(shelf.url, **options) as client:
        for user_id, document in DOCUMENTS.items():
            key = shelf.keys.profile(user_id).decode()
            assert exact(client.json().get(key)) == exact(document)
            assert client.json().get(key, *PATHS) == _parts(document)
        for query, users in QUERIES.items():
            found = client.ft(shelf.reading.index_name).search(Query(query).dialect(2))
            assert {shelf.user_id(hit.id) for hit in found.docs} == users, query
            for hit in found.docs:
                assert exact(json.loads(hit.json)) == exact(DOCUMENTS[shelf.user_id(hit.id)])
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.json().get("interop-secret:7")


def test_node_redis_reads_the_same_documents(by_node: dict[str, Any]) -> None:
    for user_id, document in DOCUMENTS.items():
        found = by_node["documents"][user_id]
        assert exact(found, one_kind_of_number=True) == exact(document, one_kind_of_number=True)
        assert by_node["parts"][user_id] == _parts(document)
        moment = datetime(2024, 2, 29, 23, 59, 59, 123000, UTC).timestamp()
        assert by_node["seen"][user_id] == {
            "largest": "9007199254740992",
            "beyond": "9007199254740993",
            "balanceType": "string",
            "codePoints": len(NAMES[user_id]),
            "nothing": True,
            "absent": False,
            "moment": round(moment * 1000),
        }


def test_node_redis_finds_the_same_users(shelf: Shelf, by_node: dict[str, Any]) -> None:
    for query, users in QUERIES.items():
        told = by_node["found"][query]
        found = {shelf.user_id(key): profile for key, profile in told["profiles"]}
        assert (set(found), told["total"]) == (users, len(users)), query
        for user_id, profile in found.items():
            expected = exact(DOCUMENTS[user_id], one_kind_of_number=True)
            assert exact(profile, one_kind_of_number=True) == expected


def test_our_reader_gives_the_same(shelf: Shelf) -> None:
    with Reader(shelf.server.url, shelf.reading) as reader:
        for user_id, document in DOCUMENTS.items():
            profile = {"user_id": user_id, **reader.require(user_id)}
            assert exact(profile) == exact(document)
        found = reader.by_email("user+11.x@bank.example")
        assert found is not None and found.user_id == ODD


def _parts(document: dict[str, Any]) -> dict[str, list[Any]]:
    wishes = [wish["category"] for wish in document["wish_list"]]
    return dict(zip(PATHS, ([document["identity"]["address"]["city"]], wishes, []), strict=True))
