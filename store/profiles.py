"""What a reader asks Redis, and what it makes of the answers; talks to nobody itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import orjson

from core.errors import AmbiguousLogin, UnfitProfile
from core.index import IndexField, Path
from core.reading import Reading
from core.refusal import Refusal
from store.access import Access, Decision, Rights, rights_of
from store.conversation import Ask, Conversation, unwrapped
from store.freshness import Freshness
from store.index_errors import search_reply
from store.keys import Keys
from store.resp import Argument
from store.unified_profile import (
    Draft,
    Opener,
    UnifiedProfile,
    Upgrade,
    at,
    paths_of,
    questions,
)

UserId = str | int
Found = tuple[str, bytes]
"""A user id, and the user's document."""

USERS_AT_ONCE = 100
MOST_CANDIDATES = 20
"""Users with one value whom the index may find alike though they are not."""

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_UNSEARCHABLE = re.compile("[\x00\ud800-\udfff]")


class Profiles:
    """The conversations behind ``Reader`` and ``AsyncReader``."""

    def __init__(
        self, reading: Reading, access: Access, upgrade: Upgrade | None, now: Callable[[], datetime]
    ) -> None:
        self.keys = Keys(reading.profile)
        self.access, self.now = access, now
        self._reading = reading
        self._opener = Opener(reading.profile.schema_version, upgrade)
        self._freshness = Freshness(self.keys)

    def get(self, user_id: UserId, paths: Sequence[str]) -> Conversation[UnifiedProfile | None]:
        """One user's profile, or some paths of it."""
        found = yield from self.get_many([user_id], paths)
        return found[str(user_id)]

    def get_many(
        self, user_ids: Sequence[UserId], paths: Sequence[str]
    ) -> Conversation[dict[str, UnifiedProfile | None]]:
        """The profiles of some users, or some paths of them."""
        names, wanted = list(dict.fromkeys(map(str, user_ids))), paths_of(paths)
        found: dict[str, UnifiedProfile | None] = {}
        for start in range(0, len(names), USERS_AT_ONCE):
            chunk = names[start : start + USERS_AT_ONCE]
            found |= yield from self._chunk(chunk, wanted)
        return found

    def by(self, name: str, value: str) -> Conversation[UnifiedProfile | None]:
        """The one user with a value in a unique field.

        Raises:
            ValueError: there is no such field.
            AmbiguousLogin: several users have it.
        """
        field = self.unique_field(name)
        if not value or _UNSEARCHABLE.search(value):
            return None
        search = ("FT.SEARCH", self._reading.index_name, *_exactly(name, value))
        [reply] = yield Ask([search])
        found = [
            (user_id, text)
            for user_id, text in self._candidates(search_reply(reply), name)
            if _same(at(orjson.loads(text), _plain(field)), value, field)
        ]
        if len(found) > 1:
            raise AmbiguousLogin(name)
        if not found:
            return None
        user_id, text = found[0]
        draft = self._opener.whole(text, user_id)
        floor = yield from self._freshness.floor(self.keys.bucket_of(user_id))
        return (yield from self._dated(draft, floor))

    def unique_field(self, name: str) -> IndexField:
        """The field of the index by which users can be looked up.

        Raises:
            ValueError: there is no such field.
        """
        field = self._reading.unique_field(name)
        if field is None:
            raise ValueError(f"the pipeline file's index has no unique field {name!r}")
        return field

    def rights(self, user_id: UserId) -> Conversation[Rights]:
        """What a user may do."""
        access = self.access
        listed = [path for path in (access.permissions, access.roles, access.features) if path]
        profile = yield from self._judged_by(user_id, listed)
        return rights_of(profile, access, self.now())

    def permits(self, user_id: UserId, permission: str) -> Conversation[Decision]:
        """Whether a user has a permission."""
        profile = yield from self._judged_by(user_id, [self.access.permissions])
        access = replace(self.access, roles=None, features=None)
        return rights_of(profile, access, self.now()).permits(permission)

    def nobody(self) -> bytes:
        """The key of a credential that nobody has."""
        return self.keys.credential(token_hex(16))

    def credential(self, text: bytes, user_id: str) -> Draft:
        """A user's credential document.

        Raises:
            UnfitProfile: as for a profile.
        """
        return self._opener.whole(text, user_id)

    def _judged_by(
        self, user_id: UserId, more: Sequence[str]
    ) -> Conversation[UnifiedProfile | UnfitProfile | None]:
        try:
            return (yield from self.get(user_id, [*self.access.judged_by, *more]))
        except UnfitProfile as unfit:
            return unfit

    def _chunk(
        self, names: list[str], paths: tuple[Path, ...]
    ) -> Conversation[dict[str, UnifiedProfile | None]]:
        found: dict[str, UnifiedProfile | None] = dict.fromkeys(names)
        keys = {name: key for name in names if (key := self._key(name)) is not None}
        if not keys:
            return found
        places = {name: self.keys.bucket_of(name) for name in keys}
        buckets = list(dict.fromkeys(places.values()))
        asked: list[Argument] = [*questions(paths)] if paths else []
        gets: list[tuple[Argument, ...]] = [("JSON.GET", key, *asked) for key in keys.values()]
        floors: tuple[Argument, ...] = ("MGET", *(self.keys.floor(bucket) for bucket in buckets))
        *texts, reply = yield Ask([*gets, floors])
        floor_of = dict(zip(buckets, unwrapped(reply, "MGET"), strict=True))
        for name, text in zip(keys, texts, strict=True):
            text = unwrapped(text, "JSON.GET")
            if text is not None:
                draft = yield from self._opened(name, text, paths)
                found[name] = yield from self._dated(draft, int(floor_of[places[name]] or 0))
        return found

    def _opened(self, name: str, text: bytes, paths: tuple[Path, ...]) -> Conversation[Draft]:
        if not paths:
            return self._opener.whole(text, name)
        draft = self._opener.part(text, paths, name)
        if not self._opener.needs_upgrade(draft.meta):
            return draft
        # An old document may have the same things elsewhere.
        [reply] = yield Ask([("JSON.GET", self.keys.profile(name))])
        again = unwrapped(reply, "JSON.GET")
        if again is None:
            raise UnfitProfile(Refusal.DAMAGED)
        return self._opener.whole(again, name)

    def _dated(self, draft: Draft, floor: int) -> Conversation[UnifiedProfile]:
        as_of = yield from self._freshness.as_of(max(draft.meta.epoch, floor))
        return draft.dated(as_of)

    def _key(self, name: str) -> bytes | None:
        try:
            return self.keys.profile(name) if name else None
        except ValueError:
            return None

    def _candidates(self, reply: list[Any], name: str) -> list[Found]:
        if reply[0] > MOST_CANDIDATES:
            raise AmbiguousLogin(name)
        found = []
        for key, fields in zip(reply[1::2], reply[2::2], strict=True):
            user_id = self.keys.user_id_of(key)
            # A document that was deleted just now has no fields.
            if user_id is not None and fields:
                found.append((user_id, fields[fields.index(b"$") + 1]))
        return found


def _exactly(name: str, value: str) -> tuple[Argument, ...]:
    """The arguments that find a value, whatever signs of the query language it has.

    A parameter is taken as it is, but for backslashes. Without TIMEOUT 0 a slow search would end
    with a part of its results and no error, and hide that a login is ambiguous.
    """
    text = value.replace("\\", "\\\\")
    query = f"@{name}:{{$value}}"
    return (query, "PARAMS", 2, "value", text, "LIMIT", 0, MOST_CANDIDATES, *_EXACT)


_EXACT: tuple[Argument, ...] = ("DIALECT", 2, "TIMEOUT", 0)


def _same(found: Any, value: str, field: IndexField) -> bool:
    if not isinstance(found, str):
        return False
    if field.attrs.case_sensitive:
        return found == value
    return found.translate(_LOWER) == value.translate(_LOWER)


def _plain(field: IndexField) -> str:
    return ".".join(step.name for step in field.steps)


def utc_now() -> datetime:
    """The reader's clock."""
    return datetime.now(UTC)
