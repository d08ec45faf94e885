"""One pass over one bucket: looks, decides, and keeps what the check will expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from core.document import digest
from core.records import BucketDocuments
from store.keys import Keys
from store.lanes import WRONG_TYPE, Write
from store.look import Looker, UserKeys
from store.outcome import Expected, Loaded, Removed
from store.plan import Planner, User
from store.wire import Wire

DAMAGED = "damaged"
HELD_AT_ONCE = 32


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
        for user, stored in self._looker.look(self._users(documents)):
            if stored is not None and stored.wrong_type:
                self._quarantined[user.user_id] = WRONG_TYPE
                continue
            self._expected.add(user.user_id, user.digest, user.credential_digest)
            write = self._planner.write(user, stored)
            if write is not None:
                yield write

    def holds(self, documents: BucketDocuments) -> Iterator[Write]:
        """What marks the users whose old documents stay."""
        users = (UserKeys.of(user_id, self._keys) for user_id in documents.held)
        found = (user for user in self._old_to_hold(users))
        while chunk := list(islice(found, HELD_AT_ONCE)):
            gets = [("JSON.GET", key) for user in chunk for key in (user.key, user.credential_key)]
            whole = self._control.ask_all(*gets)
            for position, user in enumerate(chunk):
                reason = documents.held[user.user_id]
                both = whole[2 * position : 2 * position + 2]
                held = self._planner.hold(user, reason, both)
                if held is None:
                    self._quarantined[user.user_id] = DAMAGED
                    continue
                self._expected.add(user.user_id, held.profile, held.credential)
                if held.write is not None:
                    yield held.write

    def removals(self, user_ids: Iterable[str]) -> Iterator[Write]:
        """What deletes users and marks them as removed."""
        users = (UserKeys.of(user_id, self._keys) for user_id in user_ids)
        for user, stored in self._looker.look(users):
            if stored is not None and stored.wrong_type:
                self._quarantined[user.user_id] = WRONG_TYPE
                continue
            write = self._planner.remove(user, stored)
            if write is not None:
                yield write

    def loaded(self, failed: list[tuple[Write, str]]) -> Loaded:
        """What became of the bucket; ``failed`` are writes that Redis refused singly."""
        counts = self._planner.counts
        for write, reason in failed:
            self._quarantined[write.user_id] = reason
            setattr(counts, write.kind, getattr(counts, write.kind) - 1)
        return Loaded(counts, self._expected, self._quarantined)

    def removed(self) -> Removed:
        """What became of the users to remove."""
        planner = self._planner
        return Removed(
            planner.removed, planner.absent, planner.counts.superseded, self._quarantined
        )

    def _users(self, documents: BucketDocuments) -> Iterator[User]:
        both, version = self._keys.both, self._planner.sealer.schema_version
        for user_id, body, credential in zip(
            documents.user_ids, documents.bodies, documents.credentials, strict=True
        ):
            key, credential_key = both(user_id)
            seal = None if credential is None else digest(credential, version)
            yield User(
                user_id, key, credential_key, body, digest(body, version), credential, seal
            )

    def _old_to_hold(self, users: Iterable[UserKeys]) -> Iterator[UserKeys]:
        for user, stored in self._looker.look(users):
            if stored is not None and stored.wrong_type:
                self._quarantined[user.user_id] = WRONG_TYPE
            elif stored is not None and stored.epoch > self._planner.sealer.epoch:
                self._planner.superseded(stored)
                self._expected.add(user.user_id, None, None)
            elif stored is None or (stored.profile is None and stored.credential is None):
                self._planner.counts.held += 1
                self._expected.add(user.user_id, None, None)
            else:
                yield user
