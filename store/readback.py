"""The check after a load: every document of a bucket is read back whole and hashed again.

The many good documents are told by one hash each. What looks wrong is a suspect, judged in
``store.suspects`` with everything that could explain it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.document import opened
from store.client import Timeouts
from store.expiry import may_expire
from store.facts import Server
from store.keys import Keys
from store.outcome import Checked, Expected
from store.resp import packed
from store.suspects import Suspect, judge
from store.wire import Primary, Question, Wire, answers

USERS_AT_ONCE = 50
QUESTIONS_AHEAD = 3
SUSPECTS_AT_ONCE = 20

NO_TTL = -1


def check_bucket(
    url: str,
    keys: Keys,
    expected: Expected,
    *,
    server: Server | None = None,
    timeouts: Timeouts = Timeouts(),
) -> Checked:
    """Compares a bucket with what a load returned, over a connection of its own.

    Findings are ``missing``, ``damaged`` (the body does not match its own digest), ``different``
    (sound, but not what this run wrote), ``foreign`` (another user's document), ``ttl`` (the key
    would expire), ``extra_profile`` and ``extra_credential`` (there should be none), and
    ``impossible_epoch`` (above the epoch counter).

    Args:
        server: the one that preflight met; another one is refused.

    Raises:
        TargetError: Redis can't be read, or is another server than before.
    """
    checked = Checked()
    with Primary(url, timeouts, server).wire() as wire:
        suspects = _suspects(wire, keys, expected, checked)
        # Reading is over before anything else is asked on this connection.
        source = iter(list(suspects))
        while chunk := list(islice(source, SUSPECTS_AT_ONCE)):
            judge(wire, keys, expected, chunk, checked)
    return checked


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some users: keys and digests of the documents they must have, each with its user."""

    keys: list[bytes]
    digests: list[str]
    owners: list[Suspect]
    absent: list[bytes]
    everybody: list[Suspect]


def _suspects(wire: Wire, keys: Keys, expected: Expected, checked: Checked) -> Iterator[Suspect]:
    with_ttl = may_expire(wire, keys)
    nothing = packed("EXISTS", keys.canary(""))
    questions = (_question(chunk, with_ttl, nothing) for chunk in _chunks(keys, expected))
    for chunk, replies in answers(wire, questions, QUESTIONS_AHEAD, "JSON.GET"):
        size = len(chunk.keys)
        checked.documents += size
        if replies[0] != 0:
            yield from chunk.everybody
            continue
        last = None
        for place, text in enumerate(replies[1 : size + 1]):
            good = _is_good(text, chunk.digests[place], expected.epoch)
            if good and (not with_ttl or replies[size + 1 + place] == NO_TTL):
                continue
            if chunk.owners[place] is not last:
                last = chunk.owners[place]
                yield last


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


def _chunks(keys: Keys, expected: Expected) -> Iterator[_Chunk]:
    for start in range(0, len(expected.user_ids), USERS_AT_ONCE):
        part = slice(start, start + USERS_AT_ONCE)
        user_ids = expected.user_ids[part]
        profiles, credentials = expected.profiles[part], expected.credentials[part]
        chunk = _Chunk([], [], [], [], [])
        for suspect in map(Suspect, user_ids, *keys.both(user_ids), profiles, credentials):
            chunk.everybody.append(suspect)
            for key, digest in (
                (suspect.key, suspect.profile),
                (suspect.credential_key, suspect.credential),
            ):
                if digest is None:
                    chunk.absent.append(key)
                else:
                    chunk.keys.append(key)
                    chunk.digests.append(digest)
                    chunk.owners.append(suspect)
        yield chunk


def _question(chunk: _Chunk, with_ttl: bool, nothing: bytes) -> Question[_Chunk]:
    size = len(chunk.keys)
    # EXISTS wants at least one key, and one that the Redis user may ask for.
    commands = [packed("EXISTS", *chunk.absent) if chunk.absent else nothing]
    commands += [b"*2\r\n$8\r\nJSON.GET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in chunk.keys]
    if with_ttl:
        commands += [packed("PTTL", key) for key in chunk.keys]
    return Question(b"".join(commands), 1 + size * (2 if with_ttl else 1), chunk)
