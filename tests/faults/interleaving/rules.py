"""What may never be seen in Redis while writers meet; judged without any code of the product.

One user, some versions. A version's documents name it in every value, so that one document alone
tells whether it is whole. ``Rules`` is told of every step that changed a key and of every writer's
end, and raises ``Violation``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import orjson

USER = "u1"
GONE = 0
"""In the place of a version: the user has no documents."""

SCHEMA_VERSION = 1


class Violation(AssertionError):
    """``kind`` is stale, resurrected, torn, mixed_up, lost, false_success or hangs."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def profile_of(version: int) -> dict[str, Any]:
    """The body of the profile at a version."""
    return {
        "user_id": USER,
        "version": version,
        "email": f"{USER}/core/v{version}/email",
        "balance": 1e16,
        f"only_v{version}": True,
        "loans": [{"id": f"{USER}/lending/v{version}/loan{n}"} for n in range(version)],
    }


def credential_of(version: int) -> dict[str, Any]:
    """The body of the credential at a version."""
    return {"user_id": USER, "version": version, "password_hash": f"{USER}/core/v{version}/hash"}


def sealed(body: dict[str, Any], epoch: int) -> bytes:
    """A whole document, as it is stored."""
    text = orjson.dumps(body)[:-1]
    covered = text + b',"_meta":' + orjson.dumps({"schema_version": SCHEMA_VERSION}) + b"}"
    meta = {
        "schema_version": SCHEMA_VERSION,
        "epoch": epoch,
        "digest": hashlib.sha256(covered).hexdigest()[:32],
    }
    return text + b',"_meta":' + orjson.dumps(meta) + b"}"


class Content(NamedTuple):
    """Everything in Redis that the writers of one user's bucket share."""

    fence: bytes | None
    alive: bytes | None
    floor: int
    counter: int
    opening: bytes | None
    mark: int
    profile: bytes | None
    credential: bytes | None
    expiring: bool
    listed: tuple[bytes, ...]


class Seen(NamedTuple):
    """What the documents say."""

    version: int
    epoch: int


def seen(content: Content) -> Seen:
    """The version that both documents are of.

    Raises:
        Violation: they are not whole, or not of one version.
    """
    if content.profile is None and content.credential is None:
        return Seen(GONE, -1)
    if content.profile is None or content.credential is None:
        raise Violation("torn", "one of the two documents is missing")
    profile, credential = orjson.loads(content.profile), orjson.loads(content.credential)
    epochs = []
    for document, make in ((profile, profile_of), (credential, credential_of)):
        meta = document.pop("_meta", {})
        if document.get("user_id") != USER:
            raise Violation("mixed_up", "a document names another user")
        if document != make(document["version"]):
            raise Violation("torn", "a document is not of one version")
        told = orjson.loads(sealed(document, 0))["_meta"]["digest"]
        if meta.get("digest") != told:
            raise Violation("torn", "a digest is not its document's")
        epochs.append(meta["epoch"])
    if profile["version"] != credential["version"]:
        raise Violation("torn", "the two documents are of two versions")
    if content.expiring:
        raise Violation("lost", "a document has a TTL")
    return Seen(profile["version"], epochs[0])


@dataclass
class Told:
    """A writer as the judge knows it: ``version`` is what it wants in Redis; -1: nothing yet."""

    name: str
    epoch: int = -1
    version: int = -1
    seen: int = -1
    """At which version it has seen the sources, where it looks."""
    end: Literal["", "success", "refused", "unavailable"] = ""


@dataclass(frozen=True)
class Rules:
    """What has happened so far on one path."""

    initial: int
    newest_wins: bool = True
    """Nothing happens that lets a newer writer be refused: no lost sign of life, no cut."""
    drawn: bool = False
    """Epochs are drawn while the sources move on: a higher one must mean a later view."""
    committed: frozenset[str] = frozenset()
    tenant: tuple[bytes, str] | None = None
    """The present holder's fence, and who has written under it."""

    def changed(self, by: str, writers: dict[str, Told], old: Content, new: Content) -> Rules:
        """After a step that may have changed something."""
        before, after = seen(old), seen(new)
        tenant = self.tenant if self.tenant and self.tenant[0] == new.fence else None
        if new.floor < old.floor:
            raise Violation("stale", f"the floor fell from {old.floor} to {new.floor}")
        if new.counter < old.counter:
            raise Violation("stale", "the epoch counter fell")
        marked = new.mark != old.mark and new.mark >= 0
        if before == after and not marked:
            return replace(self, tenant=tenant)
        if by not in writers:
            raise Violation("lost", f"{by} changed the user")
        writer = writers[by]
        if after.version != writer.version:
            raise Violation("mixed_up", f"{by} wrote v{after.version}, not its v{writer.version}")
        for other in writers.values():
            over = other.epoch > writer.epoch and other.version != writer.version
            if over and (other.name in self.committed or other.end == "success"):
                kind = "resurrected" if other.version == GONE else "stale"
                raise Violation(kind, f"{by} (epoch {writer.epoch}) over {other.name}")
        if after.version and before.version and after.epoch < before.epoch:
            raise Violation("stale", f"the document's epoch fell to {after.epoch}")
        if new.fence is None or (tenant is not None and tenant[1] != by):
            raise Violation("stale", f"{by} writes under a fence that is not its own")
        return replace(self, committed=self.committed | {by}, tenant=(new.fence, by))

    def ended(self, name: str, writers: dict[str, Told], content: Content) -> None:
        """After the end of one writer."""
        writer, now = writers[name], seen(content)
        if self.drawn:
            for other in writers.values():
                if (other.epoch - writer.epoch) * (other.seen - writer.seen) < 0 <= other.seen:
                    raise Violation("stale", "a higher epoch has an earlier view of the sources")
        if writer.end != "success" or writer.version in (-1, now.version):
            return
        newer = [w for w in writers.values() if w.epoch > writer.epoch]
        if not any(w.name in self.committed or w.end == "success" for w in newer):
            raise Violation("false_success", f"{name} says success, and v{now.version} is there")

    def all_ended(self, writers: dict[str, Told], content: Content) -> None:
        """After the end of all writers."""
        now = seen(content)
        newest = max(writers.values(), key=lambda w: w.epoch)
        if newest.end != "success" and self.newest_wins:
            raise Violation("lost", f"the newest writer {newest.name} was refused")
        counted = [w for w in writers.values() if w.name in self.committed or w.end == "success"]
        wanted = max(counted, key=lambda w: w.epoch).version if counted else self.initial
        if wanted == -1:
            return
        if now.version != wanted:
            kind = "resurrected" if wanted == GONE else "lost" if not now.version else "stale"
            raise Violation(kind, f"v{now.version} is left, v{wanted} should be")
        if newest.end == "success" and newest.version == GONE:
            if max(content.mark, content.floor) < newest.epoch:
                raise Violation("resurrected", "nothing keeps an older run from bringing him back")
        if now.version and content.mark >= now.epoch:
            raise Violation("resurrected", "a living user is marked as removed")
        if all(w.end != "unavailable" for w in writers.values()):
            if content.fence is not None or content.alive is not None:
                raise Violation("hangs", "nobody works, and the bucket is still taken")
