"""Why a user is refused: at login, or when asking what the user may do."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """A reason. For the app's log: visitors are best told the same whatever it is."""

    UNKNOWN_USER = "unknown_user"
    AMBIGUOUS = "ambiguous"
    PASSWORD_TOO_LONG = "password_too_long"  # noqa: S105
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    NO_PASSWORD = "no_password"  # noqa: S105
    UNKNOWN_SCHEME = "unknown_scheme"
    LOCKED = "locked"
    CLOSED = "closed"
    HELD = "held"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    FOREIGN = "foreign"
    DAMAGED = "damaged"
    VERSION = "version"
    NOT_GRANTED = "not_granted"

    @property
    def text(self) -> str:
        """The reason in words."""
        return _TEXTS[self]


_TEXTS = {
    Refusal.UNKNOWN_USER: "there is no such user",
    Refusal.AMBIGUOUS: "several users have this login",
    Refusal.PASSWORD_TOO_LONG: "the password is longer than any may be",
    Refusal.WRONG_PASSWORD: "the password is wrong",
    Refusal.NO_PASSWORD: "the user has no password",
    Refusal.UNKNOWN_SCHEME: "the password's hash is neither argon2 nor bcrypt",
    Refusal.LOCKED: "the user is locked",
    Refusal.CLOSED: "the user is closed",
    Refusal.HELD: "the profile is held: a required row was bad or missing",
    Refusal.STALE: "the profile is older than allowed, or nobody knows how old it is",
    Refusal.INCOMPLETE: "the profile lacks a required section",
    Refusal.FOREIGN: "another user's profile is stored there",
    Refusal.DAMAGED: "the profile does not match its own digest",
    Refusal.VERSION: "the profile's schema_version is not one that this reader understands",
    Refusal.NOT_GRANTED: "the user's profile does not grant it",
}
