"""The checks that planted bugs must not pass, each by what it stages.

A check runs in a process where a bug may be planted, and gives what it finds: nothing, where the
product is as it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from core.errors import TargetUnfit, UnfitProfile
from core.pipeline import Profile
from core.reading import Reading
from core.records import BucketDocuments
from store.keys import Keys
from store.outcome import Loaded
from store.readback import check_bucket
from store.reader import Reader
from store.writer import BucketWriter, Pass
from tests.faults.interleaving import scenarios
from tests.faults.interleaving.exploring import explore
from tests.faults.interleaving.installing import installed
from tests.faults.interleaving.world import World
from tests.faults.interleaving.writers import KEYS

USERS = 60
_PROFILE = Profile(name="planted", anchor="a.b", buckets=1)


def orders(name: str, socket: str) -> list[str]:
    """What is found in all orders of the commands of two writers."""
    scenario = next(s for s in scenarios.everything() if s.name == name)
    world = World(socket, KEYS)
    with installed(world):
        explored = explore(world, scenario)
    if explored.violation is not None:
        return [str(explored.violation)]
    return [] if explored.is_whole else ["the exploration came to no end"]


@dataclass
class Shop:
    """An emptied Redis, and the store's parts over some users; versions are numbers inside."""

    url: str
    client: Any
    keys: Keys

    def documents(self, version: int, users: range = range(USERS)) -> BucketDocuments:
        ids = [str(user) for user in users]
        bodies = [orjson.dumps(self.body(user, version))[:-1] for user in ids]
        return BucketDocuments(0, ids, bodies, list(bodies))

    def body(self, user: str, version: int) -> dict[str, Any]:
        return {"user_id": user, "value": f"u{user}/core/v{version}/value"}

    def load(self, documents: BucketDocuments, epoch: int) -> Loaded:
        self.client.set(self.keys.epoch, max(epoch, int(self.client.get(self.keys.epoch) or 0)))
        this = Pass(epoch, f"attempt{epoch}", 1, complete=False)
        with BucketWriter(self.url, self.keys) as writer:
            return writer.load(documents, this)

    def wrong(self, versions: Callable[[int], int | None]) -> list[str]:
        """Users whose documents are not of the version that they should be of."""
        found = []
        for user in range(USERS):
            version = versions(user)
            wanted = None if version is None else self.body(str(user), version)
            for key in (self.keys.profile(str(user)), self.keys.credential(str(user))):
                text = self.client.execute_command("JSON.GET", key)
                document = None if text is None else orjson.loads(text)
                if document is not None:
                    document.pop("_meta", None)
                if document != wanted:
                    found.append(f"user {user} is not of version {version}")
        return found[:3]


@contextmanager
def _shop(url: str) -> Iterator[Shop]:
    with redis.Redis.from_url(url) as client:
        client.execute_command("FLUSHALL", "SYNC")
        yield Shop(url, client, Keys(_PROFILE))


def every_second_user_is_newer(url: str) -> list[str]:
    """An older run after a newer one that was about half of the users."""
    with _shop(url) as shop:
        shop.load(shop.documents(1), 4)
        shop.load(shop.documents(3, range(0, USERS, 2)), 6)
        shop.load(shop.documents(2), 5)
        return shop.wrong(lambda user: 2 if user % 2 else 3)


def no_memory(url: str) -> list[str]:
    """Redis refuses the later batches: the load may not say that it has written them."""
    with _shop(url) as shop:
        documents = shop.documents(1)
        # RedisJSON keeps equal texts only once.
        pads = [b"%d" % user * 25_000 for user in range(10, 10 + USERS)]
        both = zip(documents.bodies, pads, strict=True)
        documents.bodies[:] = [body + b',"pad":"%b"' % pad for body, pad in both]
        used: Any = shop.client.info("memory")
        shop.client.config_set("maxmemory", used["used_memory"] + 1_000_000)
        try:
            loaded = shop.load(documents, 4)
        except (TargetUnfit, redis.ResponseError):
            return []
        finally:
            shop.client.config_set("maxmemory", 0)
        there = shop.client.dbsize() - 1
        if there < 2 * loaded.counts.created:
            return [f"{loaded.counts.created} users created, {there} documents are there"]
        return ["the load succeeds: there was memory for all"]


def a_key_of_another_type(url: str) -> list[str]:
    """A user's key holds a text: he is told as not written."""
    with _shop(url) as shop:
        shop.client.set(shop.keys.profile("7"), "x")
        loaded = shop.load(shop.documents(1), 4)
        if "7" in loaded.quarantined and loaded.counts.created == USERS - 1:
            return []
        return [f"{loaded.counts.created} of {USERS - 1} created, {len(loaded.quarantined)} not"]


def a_body_is_changed_by_hand(url: str) -> list[str]:
    """A path of a document is set by hand: the check after the load must see it."""
    with _shop(url) as shop:
        loaded = shop.load(shop.documents(1), 4)
        shop.client.execute_command("JSON.SET", shop.keys.profile("7"), "$.value", '"u8/x"')
        found = check_bucket(url, shop.keys, loaded.expected).user_ids
        return [] if found == {"7"} else [f"the check finds {sorted(found)}, not user 7"]


def a_document_would_expire(url: str) -> list[str]:
    """A key got a TTL by hand, and its user changes."""
    with _shop(url) as shop:
        shop.load(shop.documents(1), 4)
        shop.client.expire(shop.keys.profile("7"), 1000)
        shop.load(shop.documents(2), 5)
        ttl = shop.client.ttl(shop.keys.profile("7"))
        return [] if ttl == -1 else [f"the document still expires in {ttl} s"]


def another_users_document(url: str) -> list[str]:
    """Under a user's key stands another one's document: the reader refuses it."""
    with _shop(url) as shop:
        shop.load(shop.documents(1), 4)
        text = shop.client.execute_command("JSON.GET", shop.keys.profile("8"))
        shop.client.execute_command("JSON.SET", shop.keys.profile("7"), "$", text)
        with Reader(url, Reading(profile=_PROFILE, index=None)) as reader:
            for paths in ((), ("value",)):
                try:
                    reader.get("7", *paths)
                except UnfitProfile:
                    continue
                return [f"the reader gives another one's profile, asked for {paths or 'all'}"]
        return []


STORE: dict[str, Callable[[str], list[str]]] = {
    "every second user is newer": every_second_user_is_newer,
    "no memory": no_memory,
    "a key of another type": a_key_of_another_type,
    "a body is changed by hand": a_body_is_changed_by_hand,
    "a document would expire": a_document_would_expire,
    "another user's document": another_users_document,
}
