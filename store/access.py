"""What a profile lets a user do: judged from a profile and a clock, and from nothing else.

Fails closed: what can't be judged is refused, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.errors import UnfitProfile
from core.refusal import Refusal
from store.unified_profile import UnifiedProfile

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far a source's clock may be ahead of the reader's."""


@dataclass(frozen=True)
class Access:
    """Where an app finds what it judges by; paths are names with dots between.

    Attributes:
        max_age: a profile whose sources were read longer ago than this grants nothing. Longer
            than the time between two nightly runs, with room for one that comes late.
        login: the unique field of the index that users log in with.
        password_hash: in the credential.
        locked: each must be false, or the user is locked.
        closed: likewise.
        required: what else must be there and not null, or the profile grants nothing.
        permissions: a list of names, or an object of name to true; needed.
        roles: likewise; None where there are none.
        features: likewise.
    """

    max_age: timedelta = timedelta(hours=36)
    login: str = "email"
    password_hash: str = "auth.password_hash"  # noqa: S105
    locked: tuple[str, ...] = ("auth.locked",)
    closed: tuple[str, ...] = ("auth.closed",)
    required: tuple[str, ...] = ()
    permissions: str = "permissions"
    roles: str | None = "roles"
    features: str | None = "features"

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The paths that every judgement needs."""
        return (*self.locked, *self.closed, *self.required)


@dataclass(frozen=True)
class Decision:
    """Whether something is granted, and if not why; true or false as itself."""

    reason: Refusal | None = None

    def __bool__(self) -> bool:
        return self.reason is None


@dataclass(frozen=True)
class Rights:
    """What a user may do; nothing at all where there is a ``reason``."""

    reason: Refusal | None
    permissions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()

    def permits(self, permission: str) -> Decision:
        """Whether the user has a permission."""
        if self.reason is not None:
            return Decision(self.reason)
        return Decision(None if permission in self.permissions else Refusal.NOT_GRANTED)

    def has_role(self, role: str) -> bool:
        """Whether the user has a role."""
        return role in self.roles

    def has_feature(self, feature: str) -> bool:
        """Whether a feature flag is on for the user."""
        return feature in self.features


def barred(profile: UnifiedProfile, access: Access, now: datetime) -> Refusal | None:
    """Why a profile grants nothing, if so."""
    if profile.held is not None:
        return Refusal.HELD
    if profile.as_of is None or not -CLOCKS_DIFFER <= now - profile.as_of <= access.max_age:
        return Refusal.STALE
    if any(profile.at(path) is None for path in access.required):
        return Refusal.INCOMPLETE
    for paths, reason in ((access.locked, Refusal.LOCKED), (access.closed, Refusal.CLOSED)):
        for path in paths:
            mark = profile.at(path)
            if mark is not False:
                return reason if mark is True else Refusal.INCOMPLETE
    return None


def rights_of(
    profile: UnifiedProfile | UnfitProfile | None, access: Access, now: datetime
) -> Rights:
    """What a user may do, by the profile that was found, or was not."""
    if not isinstance(profile, UnifiedProfile):
        return Rights(Refusal.UNKNOWN_USER if profile is None else profile.reason)
    reason = barred(profile, access, now)
    permissions = _names(profile.at(access.permissions))
    if reason is None and permissions is None:
        reason = Refusal.INCOMPLETE
    if reason is not None or permissions is None:
        return Rights(reason)
    roles = _names(profile.at(access.roles)) if access.roles else None
    features = _names(profile.at(access.features)) if access.features else None
    return Rights(None, permissions, roles or frozenset(), features or frozenset())


def _names(value: Any) -> frozenset[str] | None:
    """The names in a list, or those that an object says true of."""
    if isinstance(value, Mapping):
        return frozenset(name for name, granted in value.items() if granted is True)
    if isinstance(value, list):
        return frozenset(name for name in value if isinstance(name, str))
    return None
