"""The part of a run that speaks Redis, alone: 50 ms in place of 2 s.

Draw an epoch, load, check, write again what is wrong, remove the leavers, check them: in the
order of ``flows/pipeline.py``, with the documents that the model says.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self
from uuid import uuid4

from core.errors import NotLoaded
from core.pipeline import Profile
from core.records import BucketDocuments
from store.client import Timeouts, client_of
from store.epoch import draw_epoch
from store.facts import Server
from store.keys import Keys
from store.outcome import Checked, Expected
from store.readback import check_bucket
from store.scan import remove_misplaced, users_in_redis
from store.writer import BucketWriter, Limits, Pass
from tests.faults.campaign import Ground
from tests.faults.model import History, World
from tests.faults.sources import NAME
from tests.faults.universe import Universe
from tests.faults.watched import Watched

QUICK = Timeouts(connect_s=1.0, answer_s=1.0)
ATTEMPTS = 3
LOCK_S = 2.0
"""As long a run waits for one that died while it opened its snapshots."""

LIMITS = Limits(tries=3, fence_wait_s=5, fence_alive_s=1.0)


class SmallScene(Watched):
    """A bank of one bucket without sources, its Redis, judge and reader; see ``Scene``.

    Args:
        buckets: the users are in any of them; each is loaded in turn.
    """

    def __init__(self, ground: Ground, seed: int, users: int, buckets: int = 1) -> None:
        super().__init__(ground, seed, Universe(seed, users), History())
        self.keys = keys_of(buckets)
        self.redis = ground.redis()
        self.put()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.redis)
        self.watch(self.redis.url)
        return self

    def run(self, url: str | None = None, timeouts: Timeouts = QUICK) -> dict[str, str]:
        """A run of the present version; ``url`` may lead through a proxy.

        Returns:
            The users who could not be written, with the reason.

        Raises:
            PrefetchError: no success.
        """
        return load_world(url or self.redis.url, self.keys, self.world, timeouts)


def keys_of(buckets: int) -> Keys:
    """The keys of the checker's profiles."""
    return Keys(Profile(name=NAME, anchor="core.client", buckets=buckets))


def documents_of(world: World, keys: Keys) -> list[BucketDocuments]:
    """The documents of a version, by bucket."""
    users: list[list[str]] = [[] for _ in range(keys.buckets)]
    for user in world.users:
        users[keys.bucket_of(user)].append(user)
    return [
        BucketDocuments(
            bucket,
            ids,
            [(world.of(user).profile or b"")[:-1] for user in ids],
            [(world.of(user).credential or b"")[:-1] for user in ids],
            {},
        )
        for bucket, ids in enumerate(users)
    ]


def load_world(url: str, keys: Keys, world: World, timeouts: Timeouts = QUICK) -> dict[str, str]:
    """See ``SmallScene.run``."""
    with client_of(url, timeouts) as client:
        epoch, _ = draw_epoch(client, keys, ExitStack, lock_s=LOCK_S)
    wrong, left = Checked(), ATTEMPTS
    while True:
        left -= 1
        try:
            return attempt(url, keys, world, timeouts, epoch, wrong)
        except NotLoaded:
            if not left:
                raise


def attempt(
    url: str,
    keys: Keys,
    world: World,
    timeouts: Timeouts,
    epoch: int,
    wrong: Checked,
    server: Server | None = None,
    limits: Limits = LIMITS,
) -> dict[str, str]:
    """Loads, checks and removes the leavers once; ``server`` is who must answer."""
    with client_of(url, timeouts) as client:
        remove_misplaced(client, keys, wrong.missing)
        leavers = _leavers(client, keys, world)
    this = Pass(epoch, uuid4().hex, 1, complete=True)
    with BucketWriter(url, keys, server=server, timeouts=timeouts, limits=limits) as writer:
        loaded = [writer.load(each, this, wrong.user_ids) for each in documents_of(world, keys)]
    _check(url, keys, [each.expected for each in loaded], timeouts, wrong, server)
    sweeping = Pass(epoch, uuid4().hex, 1, complete=False)
    with BucketWriter(url, keys, server=server, timeouts=timeouts, limits=limits) as writer:
        for bucket, users in leavers.items():
            removed = Expected(bucket, epoch)
            for user in users:
                removed.add(user, None, None)
            done = writer.remove(bucket, users, sweeping)
            gone = [removed.without(done.quarantined)]
            _check(url, keys, gone, timeouts, Checked(), server)
    return {user: why for each in loaded for user, why in each.quarantined.items()}


def _leavers(client: Any, keys: Keys, world: World) -> Mapping[int, list[str]]:
    found = {user for users in users_in_redis(client, keys) for user in users}
    leavers: dict[int, list[str]] = {}
    for user in sorted(found - set(world.users)):
        leavers.setdefault(keys.bucket_of(user), []).append(user)
    return leavers


def _check(
    url: str,
    keys: Keys,
    expected: list[Expected],
    timeouts: Timeouts,
    wrong: Checked,
    server: Server | None,
) -> None:
    checked = Checked()
    for each in expected:
        checked += check_bucket(url, keys, each, server=server, timeouts=timeouts)
    if checked.users:
        wrong.users.update(checked.users)
        wrong.missing.update(checked.missing)
        raise NotLoaded(dict(checked.findings))
