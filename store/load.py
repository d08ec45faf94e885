"""One pass over one bucket: looks, decides, and keeps what the check will expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from core.document import digest, digests
from core.records import BucketDocuments
from store.keys import Keys
from store.lanes import WRONG_TYPE, Write
from store.look import NOTHING, USERS_AT_ONCE, Looker, Stored, Users
from store.outcome import Expected, Loaded, Removed
from store.plan import Documents, Planner
from store.wire import Wire

DAMAGED = "damaged"


class Load:
    """What to write, as iterators; what became of it, once they are used up."""

    def __init__(
        self, keys: Keys, bucket: int, planner: Planner, looker: Looker, control: Wire
    ) -> None:
        self._keys, self._planner, self._looker, self._control = keys, planner, looker, control
        self._expected = Expected(bucket, planner.sealer.epoch)
        self._quarantined: dict[str, str] = {}

    def profiles(self, documents: BucketDocuments) -> Iterator[Write]:
        """What to write for the users who have documents."""
        expected = self._expected
        for users, stored in self._looker.look(self._documents(documents)):
            if stored is not None and any(found.wrong_type for found in stored):
                self._quarantine(users, stored)
            expected.user_ids += users.user_ids
            expected.profiles += users.digests
            expected.credentials += users.credential_digests
            yield from self._planner.write(users, stored)

    def holds(self, documents: BucketDocuments) -> Iterator[Write]:
        """What marks the users whose old documents stay."""
        for users, stored in self._looker.look(self._users(documents.held)):
            self._quarantine(users, stored or [])
            old = [place for place in range(len(users.keys)) if self._has_old(users, stored, place)]
            if not old:
                continue
            gets = [
                ("JSON.GET", key)
                for place in old
                for key in (users.keys[place], users.credential_keys[place])
            ]
            whole = self._control.look_up(*gets)
            for position, place in enumerate(old):
                user_id = users.user_ids[place]
                both = whole[2 * position : 2 * position + 2]
                held = self._planner.hold(users, place, documents.held[user_id], both)
                if held is None:
                    self._quarantined[user_id] = DAMAGED
                    continue
                self._expected.add(user_id, held.profile, held.credential)
                if held.write is not None:
                    yield held.write

    def removals(self, user_ids: Iterable[str]) -> Iterator[Write]:
        """What deletes users and marks them as removed."""
        for users, stored in self._looker.look(self._users(user_ids)):
            self._quarantine(users, stored or [])
            for place, user_id in enumerate(users.user_ids):
                if user_id in self._quarantined:
                    continue
                found = NOTHING if stored is None else stored[place]
                write = self._planner.remove(users, place, found)
                if write is not None:
                    yield write

    def loaded(self, failed: list[tuple[Write, str]]) -> Loaded:
        """What became of the bucket; ``failed`` are writes that Redis refused singly."""
        counts = self._planner.counts
        for write, reason in failed:
            self._quarantined[write.user_id] = reason
            setattr(counts, write.kind, getattr(counts, write.kind) - 1)
        return Loaded(counts, self._expected.without(self._quarantined), self._quarantined)

    def removed(self) -> Removed:
        """What became of the users to remove."""
        planner = self._planner
        return Removed(
            planner.removed, planner.absent, planner.counts.superseded, self._quarantined
        )

    def _documents(self, documents: BucketDocuments) -> Iterator[Documents]:
        sealer = self._planner.sealer
        version, stale = sealer.schema_version, sealer.stale
        for start in range(0, len(documents.user_ids), USERS_AT_ONCE):
            part = slice(start, start + USERS_AT_ONCE)
            user_ids, bodies = documents.user_ids[part], documents.bodies[part]
            credentials = documents.credentials[part]
            yield Documents(
                user_ids,
                *self._keys.both(user_ids),
                bodies,
                digests(bodies, version, stale),
                credentials,
                [None if body is None else digest(body, version) for body in credentials],
            )

    def _users(self, user_ids: Iterable[str]) -> Iterator[Users]:
        source = iter(user_ids)
        while chunk := list(islice(source, USERS_AT_ONCE)):
            yield Users(chunk, *self._keys.both(chunk))

    def _quarantine(self, users: Users, stored: list[Stored]) -> None:
        for user_id, found in zip(users.user_ids, stored, strict=False):
            if found.wrong_type:
                self._quarantined[user_id] = WRONG_TYPE

    def _has_old(self, users: Users, stored: list[Stored] | None, place: int) -> bool:
        """Whether a held user has documents that this run may mark; counts the others."""
        found = NOTHING if stored is None else stored[place]
        if found.wrong_type:
            return False
        if found.epoch > self._planner.sealer.epoch:
            self._planner.superseded(found)
        elif found.profile is None and found.credential is None:
            self._planner.counts.held += 1
        else:
            return True
        self._expected.add(users.user_ids[place], None, None)
        return False
