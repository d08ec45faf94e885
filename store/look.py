"""Reads what Redis holds of users, before anything is decided: only ``_meta``, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

import redis.exceptions as driver

from core.document import Meta, parse_meta
from store.driver_errors import mapped
from store.keys import Keys
from store.resp import packed
from store.wire import Question, Wire, answers

USERS_AT_ONCE = 50
"""100 keys a question, so that other clients wait 0.2 ms for one at most."""

QUESTIONS_AHEAD = 4

NEVER = -1
"""The epoch of a removal that there was not."""

UNMARKED = Meta(0, NEVER, "")
"""Stands for a stored document without a ``_meta`` of ours: any run may replace it."""


class HasKeys(Protocol):
    """A user by id and keys."""

    @property
    def user_id(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def credential_key(self) -> bytes: ...


class UserKeys(NamedTuple):
    """A user's keys, and no documents."""

    user_id: str
    key: bytes
    credential_key: bytes

    @classmethod
    def of(cls, user_id: str, keys: Keys) -> UserKeys:
        """The keys of a user."""
        return cls(user_id, *keys.both(user_id))


class Stored(NamedTuple):
    """What Redis holds of one user; ``wrong_type`` where a key holds something else than JSON."""

    profile: Meta | None
    credential: Meta | None
    removed_epoch: int = NEVER
    wrong_type: bool = False

    @property
    def epoch(self) -> int:
        """The highest epoch that confirmed or removed the user."""
        profile = NEVER if self.profile is None else self.profile.epoch
        credential = NEVER if self.credential is None else self.credential.epoch
        return max(profile, credential, self.removed_epoch)


Item = TypeVar("Item", bound=HasKeys)


class Looker:
    """Looks up users of one bucket.

    Args:
        wire: for reading ahead.
        control: for what has to be asked in between.
        marks: the bucket's removal marks, by user id in UTF-8.
        tick: called between questions.
    """

    def __init__(
        self, wire: Wire, control: Wire, marks: Mapping[bytes, int], tick: Callable[[], None]
    ) -> None:
        self._wire, self._control, self._marks, self._tick = wire, control, marks, tick

    def look(self, items: Iterable[Item]) -> Iterator[tuple[Item, Stored | None]]:
        """Each item with what is stored; None where Redis holds nothing of the user."""
        questions = map(_question, _chunks(items))
        for chunk, replies in answers(self._wire, questions, QUESTIONS_AHEAD, "JSON.MGET"):
            self._tick()
            yield from self._told(chunk, *replies)

    def _told(
        self, chunk: list[Item], profiles: Any, credentials: Any, existing: Any
    ) -> Iterator[tuple[Item, Stored | None]]:
        for reply in (profiles, credentials, existing):
            if isinstance(reply, driver.ResponseError):
                raise mapped(reply, "JSON.MGET")
        documents = 2 * len(chunk) - profiles.count(None) - credentials.count(None)
        wrong = self._wrong_keys(chunk, profiles, credentials) if existing != documents else ()
        for item, profile, credential in zip(chunk, profiles, credentials, strict=True):
            removed = self._marks.get(item.user_id.encode(), NEVER) if self._marks else NEVER
            is_wrong = bool(wrong) and (item.key in wrong or item.credential_key in wrong)
            if profile is None and credential is None and removed == NEVER and not is_wrong:
                yield item, None
            else:
                yield item, Stored(_meta(profile), _meta(credential), removed, is_wrong)

    def _wrong_keys(self, chunk: list[Item], profiles: Any, credentials: Any) -> set[bytes]:
        """Of the keys without a JSON document, those that exist: they hold another type."""
        silent = [i.key for i, text in zip(chunk, profiles, strict=True) if text is None]
        silent += [
            i.credential_key for i, text in zip(chunk, credentials, strict=True) if text is None
        ]
        if not silent:
            return set()
        types = self._control.ask_all(*(("TYPE", key) for key in silent))
        return {key for key, kind in zip(silent, types, strict=True) if kind not in _NOT_WRONG}


_NOT_WRONG = (b"none", b"ReJSON-RL")


def _meta(reply: bytes | None) -> Meta | None:
    """What a reply to ``JSON.MGET … $._meta`` says: a list of one object, or of none."""
    if reply is None:
        return None
    return parse_meta(reply[1:-1]) or UNMARKED


def _question(chunk: list[Item]) -> Question[list[Item]]:
    profiles = [item.key for item in chunk]
    credentials = [item.credential_key for item in chunk]
    commands = (
        packed("JSON.MGET", *profiles, "$._meta"),
        packed("JSON.MGET", *credentials, "$._meta"),
        packed("EXISTS", *profiles, *credentials),
    )
    return Question(b"".join(commands), len(commands), chunk)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    source = iter(items)
    while chunk := list(islice(source, USERS_AT_ONCE)):
        yield chunk
