"""Forgetting: a user's documents are removed for good, and no later run brings them back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import uuid4

import polars as pl

from core.errors import (
    ConfigError,
    FenceLost,
    PrefetchError,
    StageError,
    TargetUnavailable,
    TargetUnfit,
)
from core.plan import Plan
from core.settings import Settings
from flows.quarantine_files import folder_of
from flows.run_context import hash_key, limits_of, timeouts_of
from stage.folder import living_stages, purge_orphans
from store.client import client_of
from store.epoch import draw_epoch
from store.keys import Keys
from store.preflight import preflight
from store.scan import present
from store.suppression import lift, suppress
from store.writer import BucketWriter, Pass
from transforms.casts import cast_user_id
from transforms.scope import slot_of

_TRIES = 3
_POLL_S = 0.5


@dataclass(frozen=True)
class Forgotten:
    """What was removed of a user: documents (0 or 1 profile), and rows of quarantines."""

    epoch: int
    profiles: int
    quarantined: int
    stages: int
    """Stages of dead runs, whosever rows they held."""


class _NoSnapshots:
    """In the place of snapshots: a removal reads no source."""

    def close(self) -> None:
        pass


def user_of(plan: Plan, given: str) -> str:
    """A user id as it stands in keys and documents.

    Raises:
        ConfigError: it is none; the message does not quote it.
    """
    series = pl.Series("user", [given], dtype=pl.String)
    made = cast_user_id(series, plan.pipeline.profile.user_id)
    (user,) = made.values.cast(pl.String).to_list()
    if user is None or (made.reasons is not None and made.reasons[0] is not None):
        raise ConfigError("USER does not fit profile.user_id of the pipeline file")
    return str(user)


def forget(plan: Plan, settings: Settings, user: str, wait_s: float) -> Forgotten:
    """Removes a user from Redis and from this machine's disk, and keeps him away.

    The list is written first and the epoch drawn behind it: a run with a later epoch has read
    the list, and one with an earlier epoch is refused by the removal's mark.

    Args:
        user: as ``user_of`` gives it.
        wait_s: how long to wait for living runs, whose stages may hold rows of the user.

    Raises:
        TargetError: Redis did not do it.
        StageError: a living run may still hold rows; all else is done.
    """
    keys = Keys(plan.pipeline.profile)
    suppress_him(settings, keys, user)
    profiles, epoch = _removed(plan, settings, keys, user)
    folder = folder_of(settings)
    quarantined = 0
    if folder.folder.exists():
        with folder.locked():
            quarantined = folder.without(keys.name, user)
    stages = purge_orphans(settings.stage_dir)
    _wait_for_the_living(settings, wait_s)
    return Forgotten(epoch, profiles, quarantined, len(stages))


def suppress_him(settings: Settings, keys: Keys, user: str) -> None:
    """Puts a user on the list of those who shall not come back.

    Raises:
        TargetError: Redis is not fit, or did not take it.
    """
    key = hash_key(settings, keys)
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        suppress(client, keys, key, user, slot_of(user))


def lift_him(plan: Plan, settings: Settings, user: str) -> None:
    """Takes a user off the list: the next run that is about him loads him again.

    Raises:
        PrefetchError: he is not on it.
        TargetError: Redis did not take it.
    """
    keys = Keys(plan.pipeline.profile)
    key = hash_key(settings, keys)
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        if not lift(client, keys, key, user):
            raise PrefetchError("this user was not forgotten")


def _removed(plan: Plan, settings: Settings, keys: Keys, user: str) -> tuple[int, int]:
    """How many profiles were removed, and under which epoch; nothing is left of them."""
    url, timeouts = settings.redis_url.get_secret_value(), timeouts_of(settings)
    version, removed = plan.pipeline.profile.schema_version, 0
    limits = limits_of(settings, indexed=plan.pipeline.index is not None)
    with client_of(url, timeouts) as client:
        facts = preflight(client, keys)
        for _ in range(_TRIES):
            epoch, _none = draw_epoch(client, keys, _NoSnapshots)
            this = Pass(epoch, uuid4().hex, version, complete=False)
            writer = BucketWriter(url, keys, server=facts.server, timeouts=timeouts, limits=limits)
            try:
                with writer:
                    done = writer.remove(keys.bucket_of(user), [user], this)
            except FenceLost:
                continue  # a run with a later epoch has just completed the bucket
            if done.quarantined:
                raise TargetUnfit(
                    "a key of this user holds something else than JSON: it is none of our "
                    "documents; delete it by hand, and run this again"
                )
            removed += done.removed
            if not present(client, keys, [user]):
                return removed, epoch
    raise TargetUnavailable("another run has written the user's bucket each time: run this again")


def _wait_for_the_living(settings: Settings, wait_s: float) -> None:
    """Waits for the runs that began before; those that begin now know of the removal."""
    until = time.monotonic() + wait_s
    before = set(living_stages(settings.stage_dir))
    while still := before & set(living_stages(settings.stage_dir)):
        if time.monotonic() > until:
            names = ", ".join(sorted(path.name for path in still))
            raise StageError(
                f"{names} in {settings.stage_dir} may hold rows of this user until their runs "
                "end; the documents are removed, and no run brings them back: run this again "
                "when they have ended"
            )
        time.sleep(_POLL_S)
