"""What to write for each user, from what Redis holds and what the run has. Talks to nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from core.document import DIGEST_LENGTH, Meta, Stale, digest, meta_text, opened
from core.records import LoadCounts
from store.lanes import Batch, Write
from store.look import NEVER, NOTHING, Stored, Users
from store.resp import packed


@dataclass(slots=True)
class Documents(Users):
    """Some users, and what is to stand under their keys."""

    bodies: list[bytes]
    digests: list[str]
    credentials: list[bytes | None]
    credential_digests: list[str | None]


class Held(NamedTuple):
    """What marks a user as held, and the digests that his documents have then."""

    write: Write | None
    profile: str | None
    credential: str | None


class Sealer:
    """Packs documents of one run as JSON.SET commands."""

    def __init__(self, schema_version: int, epoch: int, stale: Stale = ()) -> None:
        self.schema_version, self.epoch, self.stale = schema_version, epoch, stale
        empty = "0" * DIGEST_LENGTH
        text = b',"_meta":' + meta_text(Meta(schema_version, epoch, empty, None, stale)) + b"}"
        self._before, self._behind = text.split(empty.encode())
        self._added = len(text)
        self._behind += b"\r\n"

    def document(self, key: bytes, body: bytes, its_digest: str) -> bytes:
        """The command that writes a whole document."""
        return b"*4\r\n$8\r\nJSON.SET\r\n$%d\r\n%b\r\n$1\r\n$\r\n$%d\r\n%b%b%b%b" % (
            len(key),
            key,
            len(body) + self._added,
            body,
            self._before,
            its_digest.encode(),
            self._behind,
        )

    def meta(self, key: bytes, meta: Meta) -> bytes:
        """The command that writes nothing but a document's ``_meta``, with the run's epoch."""
        new = meta._replace(epoch=self.epoch)
        return packed("JSON.SET", key, "$._meta", meta_text(new))


@dataclass
class Planner:
    """Decides, user by user, and counts.

    Args:
        marks_key: the hash of the bucket's removal marks.
        raise_epoch: give unchanged documents the run's epoch.
        rewrite: users to write even where nothing has changed.
        persist: take TTLs from the keys that are written (JSON.SET keeps them).
    """

    sealer: Sealer
    marks_key: bytes
    raise_epoch: bool = False
    rewrite: Collection[str] = ()
    persist: bool = True
    counts: LoadCounts = field(default_factory=LoadCounts)
    removed: int = 0
    absent: int = 0
    highest: int = NEVER
    """The highest epoch seen above the run's own."""

    def write(self, users: Documents, stored: list[Stored] | None) -> Iterator[Write]:
        """What to write for some users.

        Args:
            stored: None where Redis holds nothing of any of them.
        """
        counts, document = self.counts, self.sealer.document
        credential_document = Sealer(self.sealer.schema_version, self.sealer.epoch).document
        for place, (user_id, key, body, digest_, credential, credential_digest) in enumerate(
            zip(
                users.user_ids,
                users.keys,
                users.bodies,
                users.digests,
                users.credentials,
                users.credential_digests,
                strict=True,
            )
        ):
            found = NOTHING if stored is None else stored[place]
            if found is not NOTHING:
                if found.wrong_type:
                    continue
                if found.epoch > self.sealer.epoch:
                    self.superseded(found)
                    continue
                if self._same(user_id, digest_, credential_digest, found):
                    counts.unchanged += 1
                    if self.raise_epoch and (raised := self._raised(users, place, found)):
                        yield raised
                    continue
            command = document(key, body, digest_)
            commands = oks = 1
            if credential is not None and credential_digest is not None:
                command += credential_document(
                    users.credential_keys[place], credential, credential_digest
                )
                commands = oks = 2
            counts.bytes_written += len(command)
            kind = "created" if found.profile is None else "updated"
            if found is not NOTHING:
                clearing = self._clearing(users, place, found)
                commands += len(clearing)
                command = b"".join((command, *clearing))
            if kind == "created":
                counts.created += 1
            else:
                counts.updated += 1
            yield Write(user_id, command, commands, oks, kind)

    def hold(
        self, users: Users, place: int, reason: str, documents: list[bytes | None]
    ) -> Held | None:
        """What marks a stored user as held; None where a stored document is damaged.

        Args:
            documents: the stored profile and credential, whole.
        """
        commands: list[bytes] = []
        digests: list[str | None] = []
        for key, text in zip(
            (users.keys[place], users.credential_keys[place]), documents, strict=True
        ):
            if text is None:
                digests.append(None)
                continue
            found = opened(text)
            if found is None or not found.sound:
                # A new digest would make the damage look sound.
                return None
            version = found.meta.schema_version
            digests.append(digest(found.body, version, reason, found.meta.stale))
            if found.meta.held != reason or self.raise_epoch:
                meta = found.meta._replace(digest=digests[-1] or "", held=reason)
                commands += [self.sealer.meta(key, meta), packed("PERSIST", key)]
        self.counts.held += 1
        write = None
        if commands:
            text = b"".join(commands)
            oks = len(commands) // 2
            write = Write(users.user_ids[place], text, len(commands), oks, "held")
        return Held(write, digests[0], digests[1])

    def remove(self, users: Users, place: int, stored: Stored) -> Write | None:
        """What deletes a user and marks him as removed; None where this run may not."""
        if stored.epoch >= self.sealer.epoch:
            self.superseded(stored)
            return None
        user_id = users.user_ids[place]
        commands = (
            packed("DEL", users.keys[place], users.credential_keys[place]),
            packed("HSET", self.marks_key, user_id, self.sealer.epoch),
        )
        there = stored.profile is not None or stored.credential is not None
        self.removed += there
        self.absent += not there
        return Write(user_id, b"".join(commands), len(commands), 0, "removed")

    def superseded(self, stored: Stored) -> None:
        """Counts a user whom a newer run has written or removed."""
        self.counts.superseded += 1
        self.highest = max(self.highest, stored.epoch)

    def _same(
        self, user_id: str, digest_: str, credential_digest: str | None, stored: Stored
    ) -> bool:
        profile, credential = stored.profile, stored.credential
        return (
            profile is not None
            and profile.digest == digest_
            and (None if credential is None else credential.digest) == credential_digest
            and stored.removed_epoch == NEVER
            and user_id not in self.rewrite
        )

    def _raised(self, users: Documents, place: int, stored: Stored) -> Write | None:
        both = (
            (users.keys[place], stored.profile),
            (users.credential_keys[place], stored.credential),
        )
        commands = [
            self.sealer.meta(key, meta)
            for key, meta in both
            if meta is not None and meta.epoch < self.sealer.epoch
        ]
        if not commands:
            return None
        count = len(commands)
        return Write(users.user_ids[place], b"".join(commands), count, count, "unchanged")

    def _clearing(self, users: Documents, place: int, stored: Stored) -> list[bytes]:
        """Commands against what a whole document leaves: a TTL, a credential, a removal mark."""
        key, user_id = users.credential_keys[place], users.user_ids[place]
        commands = []
        if stored.credential is not None and users.credentials[place] is None:
            commands.append(packed("DEL", key))
        if self.persist or user_id in self.rewrite:
            commands += [packed("PERSIST", users.keys[place]), packed("PERSIST", key)]
        if stored.removed_epoch != NEVER:
            commands.append(packed("HDEL", self.marks_key, user_id))
        return commands


def batches(writes: Iterable[Write], max_documents: int, max_bytes: int) -> Iterator[Batch]:
    """The writes in batches; one that is larger than a batch may be is a batch of its own."""
    waiting: list[Write] = []
    documents = size = 0
    for write in writes:
        documents += max(1, write.oks)
        size += len(write.packed)
        if waiting and (documents > max_documents or size > max_bytes):
            yield Batch(waiting, b"".join([each.packed for each in waiting]))
            waiting, documents, size = [], max(1, write.oks), len(write.packed)
        waiting.append(write)
    if waiting:
        yield Batch(waiting, b"".join([each.packed for each in waiting]))
