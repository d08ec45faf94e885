"""A login's worth of look-ups, as an app makes them, with their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devstack.demo.failure import DemoFailed
from devstack.folders import PROJECT
from store.reader import Reader, reading_of

LOGINS = 1_000
PERMISSION = "payments.create"


@dataclass(frozen=True)
class LookUp:
    """One question and how long its answers took, in milliseconds."""

    question: str
    milliseconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """The time that this share of the answers took at most."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def look_ups(redis_url: str, config: str, users: Sequence[int]) -> list[LookUp]:
    """Asks for each user what an app asks when he logs in; one question after the other.

    Raises:
        DemoFailed: a profile is not there, or not the user's own.
    """
    reading = reading_of(PROJECT / config)
    with Reader(redis_url, reading) as reader:
        profiles = [reader.get(user) for user in users]  # also opens the connection
        known = [profile for profile in profiles if profile is not None]
        if len(known) < len(users):
            raise DemoFailed(f"{len(users) - len(known)} of {len(users)} profiles are not there")
        made = []
        if reading.unique_field("email"):
            emails = [profile.at("identity.email") for profile in known]
            given = [email for email in emails if email]
            made.append(_timed("user by e-mail, through the index", reader.by_email, given))
        made.append(_timed("profile by id", reader.get, users))
        made.append(_timed("permissions by path", lambda u: reader.get(u, "permissions"), users))
        permits = _timed(f"may he do {PERMISSION}?", lambda u: reader.permits(u, PERMISSION), users)
    return [*made, permits]


def _timed(question: str, ask: Callable[..., object], whom: Sequence[object]) -> LookUp:
    milliseconds = []
    for each in whom:
        started = time.perf_counter()
        ask(each)
        milliseconds.append((time.perf_counter() - started) * 1000)
    return LookUp(question, milliseconds)
