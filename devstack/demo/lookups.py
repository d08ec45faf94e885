"""A login's worth of look-ups, as an app makes them, with their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import AmbiguousLogin
from devstack.demo.failure import DemoFailed
from devstack.folders import PROJECT
from store.reader import Reader, reading_of
from store.unified_profile import UnifiedProfile

LOGINS = 1_000
PERMISSION = "payments.create"

Key = TypeVar("Key")


@dataclass
class LookUp:
    """One question, how long its answers took in milliseconds, and how many were refused."""

    question: str
    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0

    def quantile(self, share: float) -> float:
        """The time that this share of the answers took at most."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def look_ups(redis_url: str, config: str, users: Sequence[int]) -> list[LookUp]:
    """Asks for each user what an app asks when he logs in; one question after the other.

    Raises:
        DemoFailed: a profile is not there, or not that of the user asked for.
    """
    with Reader(redis_url, reading_of(PROJECT / config)) as reader:
        known = reader.get_many(users)
        emails = _emails(known)
        return [
            _timed("user by e-mail, through the index", reader.by_email, emails),
            _timed("profile by id", reader.get, {user: str(user) for user in users}),
            _timed(
                "permissions by path",
                lambda user: reader.get(user, "permissions"),
                {user: str(user) for user in users},
            ),
            _permits(reader, known),
        ]


def _emails(known: Mapping[str, UnifiedProfile | None]) -> dict[str, str]:
    """By e-mail address, the user to be found; those without an address are left out."""
    found = {user: profile.at("identity.email") for user, profile in known.items() if profile}
    return {email: user for user, email in found.items() if email}


def _permits(reader: Reader, known: Mapping[str, UnifiedProfile | None]) -> LookUp:
    made = LookUp(f"may he do {PERMISSION}?")
    for user in known:
        started = time.perf_counter()
        granted = reader.permits(user, PERMISSION)
        made.milliseconds.append((time.perf_counter() - started) * 1000)
        made.refused += not granted
    return made


def _timed(
    question: str, ask: Callable[[Key], UnifiedProfile | None], whom: Mapping[Key, str]
) -> LookUp:
    """Asks by each key for the user to be found."""
    made = LookUp(question)
    for key, user in whom.items():
        started = time.perf_counter()
        try:
            found = ask(key)
        except AmbiguousLogin:
            made.refused += 1
            continue
        made.milliseconds.append((time.perf_counter() - started) * 1000)
        if found is None or found.user_id != user:
            raise DemoFailed(f"look-up of a {question}: not the profile of user {user}")
    return made
