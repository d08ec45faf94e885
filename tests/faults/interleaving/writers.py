"""The product's writers over one user, as the flows use them."""

from __future__ import annotations

from dataclasses import replace

import orjson

import store.epoch
from core.pipeline import Profile
from core.records import BucketDocuments
from store.client import client_of
from store.keys import Keys
from store.outcome import Loaded
from store.readback import check_bucket
from store.scan import present
from store.writer import BucketWriter, Limits, Pass
from tests.faults.interleaving.rules import (
    GONE,
    SCHEMA_VERSION,
    USER,
    Told,
    credential_of,
    profile_of,
)
from tests.faults.interleaving.world import World

LIMITS = Limits(lanes=1, tries=2)
"""One lane: the others of a batch of one user only watch and read."""

PROFILE = Profile(
    name="x",
    key="profile:{user_id}",
    credential_key="credential:{user_id}",
    anchor="a.b",
    buckets=1,
)
KEYS = Keys(PROFILE)


class Unsound(Exception):
    """A writer has found or left something that nothing explains."""


def documents(version: int) -> BucketDocuments:
    """The user at a version; nobody where he is gone."""
    if version == GONE:
        return BucketDocuments(0, [], [], [])
    profile, credential = orjson.dumps(profile_of(version)), orjson.dumps(credential_of(version))
    return BucketDocuments(0, [USER], [profile[:-1]], [credential[:-1]])


def nightly(world: World, me: Told) -> None:
    """Loads the whole bucket, reads it back, and sweeps the user who is gone."""
    _run(world, me, Pass(me.epoch, f"{me.name}-load", SCHEMA_VERSION, complete=True))


def backfill(world: World, me: Told) -> None:
    """Loads some users, reads them back, and removes the one who is gone."""
    this = Pass(me.epoch, f"{me.name}-load", SCHEMA_VERSION, complete=False, raise_epoch=True)
    _run(world, me, this)


def removal(world: World, me: Told) -> None:
    """Removes the user, as ``forget`` does once its epoch is drawn."""
    _remove(world, Pass(me.epoch, f"{me.name}-removal", SCHEMA_VERSION, complete=False))


class Snapshots:
    """What a run has seen of the sources."""

    def __init__(self, world: World) -> None:
        self.version = world.look_at_sources()

    def close(self) -> None:
        """Nothing is open."""


def opening(world: World, me: Told) -> None:
    """The begin of a run: draws its epoch, and opens the snapshots."""
    with client_of(world.url) as client:
        me.epoch, snapshots = store.epoch.draw_epoch(client, world.keys, lambda: Snapshots(world))
    me.seen = snapshots.version


def whole_nightly(world: World, me: Told) -> None:
    """A nightly run from its epoch on."""
    opening(world, me)
    me.version = me.seen
    nightly(world, me)


def _run(world: World, me: Told, this: Pass) -> None:
    with BucketWriter(world.url, world.keys, limits=LIMITS) as writer:
        loaded = writer.load(documents(me.version), this)
    _checked(world, loaded)
    # A nightly run looks who has documents; a backfill marks its users without rows in any case.
    if me.version == GONE and (not this.complete or _in_redis(world)):
        _remove(world, replace(this, attempt=f"{me.name}-sweep", complete=False, raise_epoch=False))


def _in_redis(world: World) -> bool:
    with client_of(world.url) as client:
        return bool(present(client, world.keys, [USER]))


def _checked(world: World, loaded: Loaded) -> None:
    if loaded.quarantined:
        raise Unsound(f"quarantined: {sorted(loaded.quarantined.values())}")
    found = check_bucket(world.url, world.keys, loaded.expected)
    if found.findings:
        raise Unsound(f"read back: {sorted(found.findings)}")


def _remove(world: World, this: Pass) -> None:
    with BucketWriter(world.url, world.keys, limits=LIMITS) as writer:
        done = writer.remove(0, [USER], this)
    if done.quarantined:
        raise Unsound(f"quarantined: {sorted(done.quarantined.values())}")
