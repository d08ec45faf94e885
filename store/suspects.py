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
NO_TTL = -1
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
    newest = max((each.meta.epoch for each in found if each and each.sound), default=NEVER)
    findings: list[str] = []
    if newest > counter:
        findings.append("impossible_epoch")
    newer = epoch < newest <= counter
    gone = results[2] == NO_KEY and results[3] == NO_KEY
    if gone and (removed > epoch or floor > epoch):
        newer = True
    digests = (suspect.profile, suspect.credential)
    for place, name in enumerate(("profile", "credential")):
        ttl = results[2 + place]
        if ttl >= 0:
            findings.append("ttl")
        if newer and (ttl == NO_KEY or _sound(found[place])):
            continue
        wrong = _wrong(suspect.user_id, digests[place], ttl != NO_KEY, found[place], name)
        findings += wrong
    if newer and not findings:
        checked.superseded += 1
    if findings:
        checked.findings.update(findings)
        checked.user_ids.add(suspect.user_id)


def _wrong(
    user_id: str, digest: str | None, exists: bool, found: Opened | None, name: str
) -> list[str]:
    if digest is None:
        return [f"extra_{name}"] if exists else []
    if not exists:
        return ["missing"]
    if found is None or not found.sound:
        return ["damaged"]
    if found.meta.digest == digest:
        return []
    return ["different" if _owner(found.body) == user_id else "foreign"]


def _owner(body: bytes) -> str | None:
    """The user id inside a body."""
    try:
        owner = orjson.loads(body + b"}").get("user_id")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return None if owner is None else str(owner)


def _sound(found: Opened | None) -> bool:
    return found is not None and found.sound


def _is_wrong_type(error: Exception) -> bool:
    return "wrong Redis type" in str(error) or str(error).startswith("WRONGTYPE")
