"""Reads what Redis holds of users, before anything is decided: only ``_meta``, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import redis.exceptions as driver

from core.document import Meta, parse_meta
from core.errors import TargetUnavailable
from store.driver_errors import mapped
from store.resp import bulk
from store.wire import Question, Wire, answers

USERS_AT_ONCE = 50
"""100 keys a question, so that other clients wait 0.2 ms for one at most."""

QUESTIONS_AHEAD = 4

NEVER = -1
"""The epoch of a removal that there was not."""

UNMARKED = Meta(0, NEVER, "")
"""Stands for a stored document without a ``_meta`` of ours: any run may replace it."""

_NOT_WRONG = (b"none", b"ReJSON-RL")


@dataclass(slots=True)
class Users:
    """Some users and their keys, as parallel lists."""

    user_ids: list[str]
    keys: list[bytes]
    credential_keys: list[bytes]


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


NOTHING = Stored(None, None)

SomeUsers = TypeVar("SomeUsers", bound=Users)


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

    def look(self, groups: Iterable[SomeUsers]) -> Iterator[tuple[SomeUsers, list[Stored] | None]]:
        """Each group with what is stored; None where Redis holds nothing of any of its users."""
        questions = map(_question, groups)
        for users, replies in answers(self._wire, questions, QUESTIONS_AHEAD, "JSON.MGET"):
            self._tick()
            yield users, self._told(users, *replies)

    def _told(
        self, users: Users, profiles: Any, credentials: Any, existing: Any
    ) -> list[Stored] | None:
        both = (profiles, credentials)
        for reply in (*both, existing):
            if isinstance(reply, driver.ResponseError):
                raise mapped(reply, "JSON.MGET")
        if not all(isinstance(part, list) and len(part) == len(users.keys) for part in both):
            self._wire.drop()
            raise TargetUnavailable("replies came out of order")
        if existing == 0 and not self._marks:
            return None
        documents = 2 * len(profiles) - profiles.count(None) - credentials.count(None)
        stored = list(map(Stored, map(_meta, profiles), map(_meta, credentials)))
        if self._marks:
            removed = [self._marks.get(user_id.encode(), NEVER) for user_id in users.user_ids]
            stored = [s._replace(removed_epoch=e) for s, e in zip(stored, removed, strict=True)]
        if existing != documents:
            stored = self._with_wrong_types(users, stored)
        return stored

    def _with_wrong_types(self, users: Users, stored: list[Stored]) -> list[Stored]:
        """Looks up the types of keys without a JSON document."""
        both = zip(users.keys, users.credential_keys, strict=True)
        commands = [("TYPE", key) for pair in both for key in pair]
        wrong = [kind not in _NOT_WRONG for kind in self._control.look_up(*commands)]
        return [
            found._replace(wrong_type=wrong[2 * place] or wrong[2 * place + 1])
            for place, found in enumerate(stored)
        ]


def _meta(reply: bytes | None) -> Meta | None:
    """What a reply to ``JSON.MGET … $._meta`` says: a list of one object, or of none."""
    if reply is None:
        return None
    return parse_meta(reply[1:-1]) or UNMARKED


def _question(users: SomeUsers) -> Question[SomeUsers]:
    size = len(users.keys)
    profiles, credentials = bulk(users.keys), bulk(users.credential_keys)
    commands = b"".join(
        (
            b"*%d\r\n$9\r\nJSON.MGET\r\n%b$7\r\n$._meta\r\n" % (size + 2, profiles),
            b"*%d\r\n$9\r\nJSON.MGET\r\n%b$7\r\n$._meta\r\n" % (size + 2, credentials),
            b"*%d\r\n$6\r\nEXISTS\r\n%b%b" % (2 * size + 1, profiles, credentials),
        )
    )
    return Question(commands, 3, users)
