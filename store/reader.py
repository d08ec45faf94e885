"""The app's reader: profiles by id and by login, and what their users may do.

``Reader`` is for threads, ``AsyncReader`` for one event loop. Both ask what ``store.profiles``
says. A Redis that can't be read is an error of its own kind (``TargetUnavailable`` and its like),
never "no such user".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import UnknownUser
from core.pipeline_file import load_reading
from core.reading import Reading
from store.access import Access, Decision, Rights
from store.client import Timeouts
from store.conversation import Conversation, T
from store.links import CONNECTIONS, TIMEOUTS, AsyncLink, Link, Pending, carried_out
from store.profiles import Profiles, UserId, utc_now
from store.unified_profile import UnifiedProfile, Upgrade


def reading_of(pipeline_file: str | Path) -> Reading:
    """What a pipeline file says of the profiles and their index; its sources don't matter.

    Raises:
        ConfigError: with every mistake in these parts.
    """
    return load_reading(Path(pipeline_file), os.environ)


class Reader:
    """Reads profiles over connections of its own; safe for threads.

    Args:
        reading: what the pipeline file says, from ``reading_of``.
        access: where the profile tells what a user may do.
        upgrade: makes the fields of ``schema_version`` - 1 look like the current ones; without
            it they are given as they are.
        connections: at most so many at a time.
        now: the clock that the profiles' age is judged by.

    Every method may raise ``TargetUnavailable`` (Redis is down or slow), ``TargetDenied`` (wrong
    password, or a command that this Redis user may not run) and ``TargetUnfit``.
    """

    def __init__(
        self,
        url: str,
        reading: Reading,
        access: Access = Access(),
        *,
        upgrade: Upgrade | None = None,
        timeouts: Timeouts = TIMEOUTS,
        connections: int = CONNECTIONS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.profiles = Profiles(reading, access, upgrade, now)
        self.link = Link(url, timeouts, connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self.link.close()

    def get(self, user_id: UserId, *paths: str) -> UnifiedProfile | None:
        """A user's profile, or just some paths of it; None where there is none.

        Raises:
            UnfitProfile: it is damaged, another user's, or of an unknown version.
        """
        return self._told(self.profiles.get(user_id, paths))

    def require(self, user_id: UserId, *paths: str) -> UnifiedProfile:
        """As ``get``, for a user who must be there.

        Raises:
            UnknownUser: there is no profile.
            UnfitProfile: as for ``get``.
        """
        return _known(self.get(user_id, *paths))

    def get_many(self, user_ids: Sequence[UserId], *paths: str) -> dict[str, UnifiedProfile | None]:
        """The profiles of some users by user id, in their order; None where there is none.

        Raises:
            UnfitProfile: one of them is.
        """
        return self._told(self.profiles.get_many(user_ids, paths))

    def by(self, field: str, value: str) -> UnifiedProfile | None:
        """The user with this value in a unique field of the index; None where nobody has it.

        Raises:
            AmbiguousLogin: several users have it.
            UnfitProfile: as for ``get``.
            IndexMissing: there is no index.
            ValueError: the index has no such field, or it is not ``unique``.
        """
        return self._told(self.profiles.by(field, value))

    def by_email(self, email: str) -> UnifiedProfile | None:
        """``by`` the field ``email``."""
        return self.by("email", email)

    def rights(self, user_id: UserId) -> Rights:
        """What a user may do, in one question; nothing, and why, where the profile is no good."""
        return self._told(self.profiles.rights(user_id))

    def permits(self, user_id: UserId, permission: str) -> Decision:
        """Whether a user has a permission; if not, why."""
        return self._told(self.profiles.permits(user_id, permission))

    def _told(self, conversation: Conversation[T]) -> T:
        return carried_out(conversation, {False: self.link})


class AsyncReader:
    """Likewise, for one event loop. All methods are those of ``Reader``, to be awaited."""

    def __init__(
        self,
        url: str,
        reading: Reading,
        access: Access = Access(),
        *,
        upgrade: Upgrade | None = None,
        timeouts: Timeouts = TIMEOUTS,
        connections: int = CONNECTIONS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.profiles = Profiles(reading, access, upgrade, now)
        self.link = AsyncLink(url, timeouts, connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.link.close()

    def get(self, user_id: UserId, *paths: str) -> Pending[UnifiedProfile | None]:
        """As ``Reader.get``."""
        return self._told(self.profiles.get(user_id, paths))

    async def require(self, user_id: UserId, *paths: str) -> UnifiedProfile:
        """As ``Reader.require``."""
        return _known(await self.get(user_id, *paths))

    def get_many(
        self, user_ids: Sequence[UserId], *paths: str
    ) -> Pending[dict[str, UnifiedProfile | None]]:
        """As ``Reader.get_many``."""
        return self._told(self.profiles.get_many(user_ids, paths))

    def by(self, field: str, value: str) -> Pending[UnifiedProfile | None]:
        """As ``Reader.by``."""
        return self._told(self.profiles.by(field, value))

    def by_email(self, email: str) -> Pending[UnifiedProfile | None]:
        """As ``Reader.by_email``."""
        return self.by("email", email)

    def rights(self, user_id: UserId) -> Pending[Rights]:
        """As ``Reader.rights``."""
        return self._told(self.profiles.rights(user_id))

    def permits(self, user_id: UserId, permission: str) -> Pending[Decision]:
        """As ``Reader.permits``."""
        return self._told(self.profiles.permits(user_id, permission))

    def _told(self, conversation: Conversation[T]) -> Pending[T]:
        return Pending(conversation, {False: self.link})


def _known(profile: UnifiedProfile | None) -> UnifiedProfile:
    if profile is None:
        raise UnknownUser()
    return profile
