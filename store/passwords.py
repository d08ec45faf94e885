"""Compares passwords with hashes: argon2 and bcrypt, each by its well-kept library.

Every comparison costs one hash, whether there is something to compare with or not: how long it
takes does not tell whether a user exists.
"""

from __future__ import annotations

from enum import Enum, auto
from secrets import token_urlsafe

import argon2
import bcrypt

BCRYPT_BYTES = 72
"""What bcrypt looks at. Longer passwords never match: a hash of the first bytes would let in who
knows just these."""

_BCRYPT = ("$2a$", "$2b$", "$2y$")


class Verdict(Enum):
    """What a comparison came to."""

    MATCH = auto()
    MISMATCH = auto()
    TOO_LONG = auto()
    UNKNOWN_SCHEME = auto()


class Passwords:
    """Compares, with one hash for each comparison.

    Args:
        dummy: the hash that stands in where there is none, of the scheme and the cost that most
            users have; default: argon2id as argon2-cffi makes it.
    """

    def __init__(self, dummy: str | None = None) -> None:
        self._argon2 = argon2.PasswordHasher()
        self._dummy = dummy or self._argon2.hash(token_urlsafe())

    def compare(self, password: bytes, stored: str | None) -> Verdict:
        """Whether a password is the one that was hashed; raises nothing."""
        if stored is None:
            self._spend(password)
            return Verdict.MISMATCH
        if stored.startswith(_BCRYPT):
            if len(password) > BCRYPT_BYTES:
                self._spend(password[:BCRYPT_BYTES])
                return Verdict.TOO_LONG
            return self._verdict(_bcrypt_matches(password, stored))
        if stored.startswith("$argon2"):
            return self._verdict(self._argon2_matches(password, stored))
        self._spend(password)
        return Verdict.UNKNOWN_SCHEME

    def _spend(self, password: bytes) -> None:
        if self._dummy.startswith(_BCRYPT):
            _bcrypt_matches(password[:BCRYPT_BYTES], self._dummy)
        else:
            self._argon2_matches(password, self._dummy)

    def _argon2_matches(self, password: bytes, stored: str) -> bool | None:
        try:
            return self._argon2.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHashError, ValueError):
            return None

    def _verdict(self, matches: bool | None) -> Verdict:
        if matches is None:
            return Verdict.UNKNOWN_SCHEME
        return Verdict.MATCH if matches else Verdict.MISMATCH


def _bcrypt_matches(password: bytes, stored: str) -> bool | None:
    try:
        return bcrypt.checkpw(password, stored.encode())
    except ValueError:
        return None
