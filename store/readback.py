"""The check after a load: every document of a bucket is read back whole and hashed again.

The many good documents are told by one hash each. What looks wrong is a suspect, read once more
together with everything that could explain it (a newer run, a removal), in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import orjson
import redis.exceptions as driver

from core.document import Opened, opened
from store.client import Timeouts
from store.driver_errors import mapped
from store.keys import Keys
from store.outcome import Checked, Expected
from store.resp import packed
from store.wire import Primary, Question, Wire, answers

USERS_AT_ONCE = 50
QUESTIONS_AHEAD = 3
SUSPECTS_AT_ONCE = 20


class _User(NamedTuple):
    user_id: str
    documents: tuple[tuple[bytes, str | None], tuple[bytes, str | None]]
    """Key and expected digest of the profile, then of the credential."""


def check_bucket(
    url: str,
    keys: Keys,
    expected: Expected,
    *,
    run_id: str | None = None,
    timeouts: Timeouts = Timeouts(),
) -> Checked:
    """Compares a bucket with what a load returned, over a connection of its own.

    Findings are ``missing``, ``damaged`` (the body does not match its own digest), ``different``
    (sound, but not what this run wrote), ``foreign`` (another user's document), ``ttl`` (the key
    would expire), ``extra_profile`` and ``extra_credential`` (there should be none), and
    ``impossible_epoch`` (above the epoch counter).

    Args:
        run_id: the server process that preflight met; another one is refused.

    Raises:
        TargetError: Redis can't be read, or is another process than before.
    """
    checked = Checked()
    primary = Primary(url, timeouts, run_id)
    with primary.wire() as wire:
        suspects = list(_suspects(wire, keys, expected, checked))
        source = iter(suspects)
        while chunk := list(islice(source, SUSPECTS_AT_ONCE)):
            for user, evidence in _evidence(wire, keys, expected.bucket, chunk):
                _judge(user, evidence, expected.epoch, checked)
    return checked


def _suspects(wire: Wire, keys: Keys, expected: Expected, checked: Checked) -> Iterator[_User]:
    epoch = expected.epoch
    for chunk, replies in answers(wire, _questions(keys, expected), QUESTIONS_AHEAD, "JSON.GET"):
        extra = replies[0]
        position = 1
        for user in chunk:
            suspect = bool(extra)
            for _, digest in user.documents:
                if digest is None:
                    continue
                text, ttl = replies[position : position + 2]
                position += 2
                checked.documents += 1
                suspect = suspect or ttl != -1 or not _is_good(text, digest, epoch)
            if suspect:
                yield user


def _is_good(text: Any, digest: str, epoch: int) -> bool:
    if not isinstance(text, bytes):
        return False
    found = opened(text)
    return (
        found is not None
        and found.sound
        and found.meta.digest == digest
        and found.meta.epoch <= epoch
    )


def _questions(keys: Keys, expected: Expected) -> Iterator[Question[list[_User]]]:
    users = (
        _User(user_id, ((key, profile), (credential_key, credential)))
        for user_id, profile, credential in zip(
            expected.user_ids, expected.profiles, expected.credentials, strict=True
        )
        for key, credential_key in (keys.both(user_id),)
    )
    while chunk := list(islice(users, USERS_AT_ONCE)):
        gets, absent = [], []
        for user in chunk:
            for key, digest in user.documents:
                if digest is None:
                    absent.append(key)
                else:
                    gets.append(packed("JSON.GET", key) + packed("PTTL", key))
        nobody = packed("EXISTS", *absent) if absent else packed("EXISTS", keys.canary("none"))
        yield Question(nobody + b"".join(gets), 1 + 2 * len(gets), chunk)
