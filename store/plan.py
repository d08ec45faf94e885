"""What to write for each user, from what Redis holds and what the run has. Talks to nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from core.document import DIGEST_LENGTH, Meta, digest, meta_text, opened
from core.records import LoadCounts
from store.lanes import Batch, Write
from store.look import NEVER, Stored, UserKeys
from store.resp import packed

class User(NamedTuple):
    """A user's keys, and what is to stand there."""

    user_id: str
    key: bytes
    credential_key: bytes
    body: bytes
    digest: str
    credential: bytes | None
    credential_digest: str | None


class Held(NamedTuple):
    """What marks a user as held, and the digests that his documents have then."""

    write: Write | None
    profile: str | None
    credential: str | None


class Sealer:
    """Packs documents of one run as JSON.SET commands."""

    def __init__(self, schema_version: int, epoch: int) -> None:
        self.schema_version, self.epoch = schema_version, epoch
        empty = "0" * DIGEST_LENGTH
        text = b',"_meta":' + meta_text(Meta(schema_version, epoch, empty)) + b"}"
        self._before, self._behind = text.split(empty.encode())
        self._added = len(text)

    def document(self, key: bytes, body: bytes, its_digest: str) -> tuple[bytes, int]:
        """The command that writes a whole document, and the document's size in bytes."""
        size = len(body) + self._added
        head = b"*4\r\n$8\r\nJSON.SET\r\n$%d\r\n%b\r\n$1\r\n$\r\n$%d\r\n" % (len(key), key, size)
        text = b"".join((head, body, self._before, its_digest.encode(), self._behind, b"\r\n"))
        return text, size

    def meta(self, key: bytes, meta: Meta) -> bytes:
        """The command that writes nothing but a document's ``_meta``, with the run's epoch."""
        new = Meta(meta.schema_version, self.epoch, meta.digest, meta.held)
        return packed("JSON.SET", key, "$._meta", meta_text(new))


@dataclass
class Planner:
    """Decides, user by user, and counts.

    Args:
        marks_key: the hash of the bucket's removal marks.
        raise_epoch: give unchanged documents the run's epoch.
        rewrite: users to write even where nothing has changed.
    """

    sealer: Sealer
    marks_key: bytes
    raise_epoch: bool = False
    rewrite: Collection[str] = ()
    counts: LoadCounts = field(default_factory=LoadCounts)
    removed: int = 0
    absent: int = 0
    highest: int = NEVER
    """The highest epoch seen above the run's own."""

    def write(self, user: User, stored: Stored | None) -> Write | None:
        """What to write for a user with a profile; None for nothing.

        Args:
            stored: None for a user of whom Redis holds nothing.
        """
        if stored is not None:
            if stored.epoch > self.sealer.epoch:
                self.superseded(stored)
                return None
            if self._same(user, stored):
                self.counts.unchanged += 1
                return self._raised(user, stored)
        command, size = self.sealer.document(user.key, user.body, user.digest)
        commands = [command]
        if user.credential is not None and user.credential_digest is not None:
            command, more = self.sealer.document(
                user.credential_key, user.credential, user.credential_digest
            )
            commands.append(command)
            size += more
        self.counts.bytes_written += size
        oks = len(commands)
        if stored is not None:
            commands += self._clearing(user, stored)
        if stored is None or stored.profile is None:
            self.counts.created += 1
            return Write(user.user_id, b"".join(commands), len(commands), oks, "created")
        self.counts.updated += 1
        return Write(user.user_id, b"".join(commands), len(commands), oks, "updated")

    def hold(self, user: UserKeys, reason: str, documents: list[bytes | None]) -> Held | None:
        """What marks a stored user as held; None where a stored document is damaged.

        Args:
            documents: the stored profile and credential, whole.
        """
        commands: list[bytes] = []
        digests: list[str | None] = []
        for key, text in zip((user.key, user.credential_key), documents, strict=True):
            if text is None:
                digests.append(None)
                continue
            found = opened(text)
            if found is None or not found.sound:
                # A new digest would make the damage look sound.
                return None
            version = found.meta.schema_version
            digests.append(digest(found.body, version, reason))
            if found.meta.held != reason or self.raise_epoch:
                meta = Meta(version, self.sealer.epoch, digests[-1] or "", reason)
                commands += [self.sealer.meta(key, meta), packed("PERSIST", key)]
        self.counts.held += 1
        write = None
        if commands:
            text = b"".join(commands)
            write = Write(user.user_id, text, len(commands), len(commands) // 2, "held")
        return Held(write, digests[0], digests[1])

    def remove(self, user: UserKeys, stored: Stored | None) -> Write | None:
        """What deletes a user and marks him as removed; None where this run may not."""
        if stored is not None and stored.epoch >= self.sealer.epoch:
            self.superseded(stored)
            return None
        commands = (
            packed("DEL", user.key, user.credential_key),
            packed("HSET", self.marks_key, user.user_id, self.sealer.epoch),
        )
        there = stored is not None and (stored.profile or stored.credential)
        self.removed += bool(there)
        self.absent += not there
        return Write(user.user_id, b"".join(commands), len(commands), 0, "removed")

    def superseded(self, stored: Stored) -> None:
        """Counts a user whom a newer run has written or removed."""
        self.counts.superseded += 1
        self.highest = max(self.highest, stored.epoch)

    def _same(self, user: User, stored: Stored) -> bool:
        profile, credential = stored.profile, stored.credential
        return (
            profile is not None
            and profile.digest == user.digest
            and (None if credential is None else credential.digest) == user.credential_digest
            and stored.removed_epoch == NEVER
            and user.user_id not in self.rewrite
        )

    def _raised(self, user: User, stored: Stored) -> Write | None:
        if not self.raise_epoch:
            return None
        both = ((user.key, stored.profile), (user.credential_key, stored.credential))
        commands = [
            self.sealer.meta(key, meta)
            for key, meta in both
            if meta is not None and meta.epoch < self.sealer.epoch
        ]
        if not commands:
            return None
        count = len(commands)
        return Write(user.user_id, b"".join(commands), count, count, "unchanged")

    def _clearing(self, user: User, stored: Stored) -> list[bytes]:
        """Commands against what a whole document leaves: a TTL, a credential, a removal mark."""
        commands = []
        if stored.profile is not None:
            commands.append(packed("PERSIST", user.key))
        if stored.credential is not None:
            verb = "DEL" if user.credential is None else "PERSIST"
            commands.append(packed(verb, user.credential_key))
        if stored.removed_epoch != NEVER:
            commands.append(packed("HDEL", self.marks_key, user.user_id))
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
