"""Authentication: whether an e-mail address and a password are a user's, who may come in.

The hashes stand in documents of their own. They are read here alone, as a Redis user of its own.
A hash is never kept, shown or given back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from core.errors import AmbiguousLogin, UnfitProfile
from core.refusal import Refusal
from store.access import barred
from store.client import Timeouts
from store.conversation import Ask, Conversation, Work, unwrapped
from store.links import CONNECTIONS, TIMEOUTS, AsyncLink, Link, Pending, carried_out
from store.passwords import Passwords, Verdict
from store.profiles import Profiles
from store.reader import AsyncReader, Reader
from store.unified_profile import UnifiedProfile, at

LONGEST_PASSWORD = 1024
"""Bytes of UTF-8. Longer ones are refused unread, as hashing them would cost the app too much."""

_OF_VERDICT = {
    Verdict.MISMATCH: Refusal.WRONG_PASSWORD,
    Verdict.TOO_LONG: Refusal.PASSWORD_TOO_LONG,
    Verdict.UNKNOWN_SCHEME: Refusal.UNKNOWN_SCHEME,
}


@dataclass(frozen=True)
class Entrance:
    """The answer to a login: true with the user's profile, or false with the reason."""

    reason: Refusal | None
    profile: UnifiedProfile | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.reason is None


class _Door:
    """The conversation behind ``Login`` and ``AsyncLogin``."""

    def __init__(self, profiles: Profiles, passwords: Passwords, longest: int) -> None:
        profiles.unique_field(profiles.access.login)  # else nobody could ever be found
        self._profiles, self._passwords, self._longest = profiles, passwords, longest

    def authenticate(self, login: str, password: str) -> Conversation[Entrance]:
        # UTF-8 is never shorter than its text.
        if len(password) > self._longest or len(_bytes(password)) > self._longest:
            return Entrance(Refusal.PASSWORD_TOO_LONG)
        profile, unknown = yield from self._found(login)
        stored, missing = yield from self._hash_of(profile)
        verdict = yield Work(partial(self._passwords.compare, _bytes(password), stored))
        reason = unknown or missing or _OF_VERDICT.get(verdict)
        if reason is None and profile is not None:
            reason = barred(profile, self._profiles.access, self._profiles.now())
        if reason is not None or profile is None:
            return Entrance(reason or Refusal.UNKNOWN_USER)
        return Entrance(None, profile)

    def _found(self, login: str) -> Conversation[tuple[UnifiedProfile | None, Refusal | None]]:
        try:
            profile = yield from self._profiles.by(self._profiles.access.login, login)
        except AmbiguousLogin:
            return None, Refusal.AMBIGUOUS
        except UnfitProfile as unfit:
            return None, unfit.reason
        return profile, None if profile is not None else Refusal.UNKNOWN_USER

    def _hash_of(
        self, profile: UnifiedProfile | None
    ) -> Conversation[tuple[str | None, Refusal | None]]:
        """The user's hash, or why there is none; for nobody the same question."""
        profiles = self._profiles
        key = profiles.nobody() if profile is None else profiles.keys.credential(profile.user_id)
        [reply] = yield Ask([("JSON.GET", key)], secret=True)
        text = unwrapped(reply, "JSON.GET")
        if profile is None or text is None:
            return None, Refusal.NO_PASSWORD
        try:
            credential = profiles.credential(text, profile.user_id)
        except UnfitProfile as unfit:
            return None, unfit.reason
        found = at(credential.fields, profiles.access.password_hash)
        if not isinstance(found, str):
            return None, Refusal.NO_PASSWORD
        return found, None


class Login:
    """Lets users in; safe for threads.

    Args:
        url: where the credentials are, with a Redis user who may read these and nothing else.
        reader: finds the user; its ``access`` says by which field, and who is locked.
        dummy_hash: what an unknown user's password is compared with: a hash of the scheme and
            the cost that most of your users have, of a password that nobody knows. Default:
            argon2id with argon2-cffi's own cost.
        longest_password: in bytes; longer ones are refused unread.

    Raises:
        ValueError: the index has no such unique field as ``access.login`` names.
    """

    def __init__(
        self,
        url: str,
        reader: Reader,
        *,
        dummy_hash: str | None = None,
        longest_password: int = LONGEST_PASSWORD,
        timeouts: Timeouts = TIMEOUTS,
        connections: int = CONNECTIONS,
    ) -> None:
        self._door = _Door(reader.profiles, Passwords(dummy_hash), longest_password)
        self._links = {False: reader.link, True: Link(url, timeouts, connections)}

    def authenticate(self, login: str, password: str) -> Entrance:
        """Whether this user may come in.

        Raises:
            IndexMissing: there is no search index.
            TargetError: Redis can't be read.
        """
        return carried_out(self._door.authenticate(login, password), self._links)

    def close(self) -> None:
        """Closes its own connections; the reader's stay."""
        self._links[True].close()


class AsyncLogin:
    """Likewise, for one event loop; hashes are computed in threads."""

    def __init__(
        self,
        url: str,
        reader: AsyncReader,
        *,
        dummy_hash: str | None = None,
        longest_password: int = LONGEST_PASSWORD,
        timeouts: Timeouts = TIMEOUTS,
        connections: int = CONNECTIONS,
    ) -> None:
        self._door = _Door(reader.profiles, Passwords(dummy_hash), longest_password)
        self._links = {False: reader.link, True: AsyncLink(url, timeouts, connections)}

    def authenticate(self, login: str, password: str) -> Pending[Entrance]:
        """As ``Login.authenticate``."""
        return Pending(self._door.authenticate(login, password), self._links)

    async def close(self) -> None:
        """Closes its own connections; the reader's stay."""
        await self._links[True].close()


def _bytes(password: str) -> bytes:
    # A lone surrogate has no UTF-8 form, so no password that was hashed is equal to this.
    return password.encode("utf-8", "surrogatepass")
