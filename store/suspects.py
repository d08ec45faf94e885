"""Judges users whose documents are not simply as expected.

Both documents are read once more, in one transaction with what could explain the difference: a
newer run may have written or removed the user since.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import redis.exceptions as driver

from core.document import Opened, opened
from store.driver_errors import mapped
from store.keys import Keys
from store.look import NEVER
from store.outcome import Checked, Expected
from store.resp import EXEC, MULTI, packed
from store.wire import Wire

NO_KEY = -2
MISSING, DIFFERENT = "missing", "different"
_COMMANDS = 7


class Suspect(NamedTuple):
    """A user's keys and the digests expected there."""

    user_id: str
    key: bytes
    credential_key: bytes
    profile: str | None
    credential: str | None


def judge(
    wire: Wire, keys: Keys, expected: Expected, suspects: list[Suspect], checked: Checked
) -> None:
    """Adds to ``checked`` what is really wrong with some users.

    Raises:
        TargetError: Redis can't be read.
    """
    wire.send(b"".join([_evidence(keys, expected.bucket, suspect) for suspect in suspects]))
    for suspect in suspects:
        *_, results = wire.answers(_COMMANDS + 2, "JSON.GET")
        for result in results:
            if isinstance(result, driver.RedisError) and not _is_wrong_type(result):
                raise mapped(result, "JSON.GET")
        _judge(suspect, results, expected.epoch, checked)


def _evidence(keys: Keys, bucket: int, suspect: Suspect) -> bytes:
    commands = (
        packed("JSON.GET", suspect.key),
        packed("JSON.GET", suspect.credential_key),
        packed("PTTL", suspect.key),
        packed("PTTL", suspect.credential_key),
        packed("HGET", keys.removed(bucket), suspect.user_id),
        packed("GET", keys.floor(bucket)),
        packed("GET", keys.epoch),
    )
    return b"".join((MULTI, *commands, EXEC))


def _judge(suspect: Suspect, results: list[Any], epoch: int, checked: Checked) -> None:
    removed, floor, counter = (int(result or NEVER) for result in results[4:])
    found = [opened(text) if isinstance(text, bytes) else None for text in results[:2]]
    epochs = [each.meta.epoch for each in found if each is not None and each.sound]
    newer = any(epoch < each <= counter for each in epochs)
    if results[2] == results[3] == NO_KEY:
        newer = removed > epoch or floor > epoch
    findings = []
    for place, digest in enumerate((suspect.profile, suspect.credential)):
        ttl = results[2 + place]
        if ttl >= 0:
            findings.append("ttl")
        wrong = _wrong(suspect.user_id, ttl != NO_KEY, found[place], counter)
        if wrong is None and not newer:
            wrong = _unexpected(digest, found[place], place)
        if wrong is not None:
            findings.append(wrong)
        if wrong in (MISSING, DIFFERENT) and digest is not None:
            checked.missing.add(digest)
    if findings:
        checked.users[suspect.user_id] = findings
    elif newer:
        checked.superseded += 1


def _wrong(user_id: str, exists: bool, found: Opened | None, counter: int) -> str | None:
    """What is wrong with a document whichever run wrote it."""
    if not exists:
        return None
    if found is None or not found.sound:
        return "damaged"
    if found.meta.epoch > counter:
        return "impossible_epoch"
    return None if _owner(found.body) in (user_id, None) else "foreign"


def _unexpected(digest: str | None, found: Opened | None, place: int) -> str | None:
    """How a document differs from what this run has written."""
    if found is None:
        return None if digest is None else MISSING
    if digest is None:
        return ("extra_profile", "extra_credential")[place]
    return None if found.meta.digest == digest else DIFFERENT


def _owner(body: bytes) -> str | None:
    """The user id inside a body."""
    try:
        owner = orjson.loads(body + b"}").get("user_id")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return None if owner is None else str(owner)


def _is_wrong_type(error: Exception) -> bool:
    return "wrong Redis type" in str(error) or str(error).startswith("WRONGTYPE")
