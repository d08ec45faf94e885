"""The passwords of the demo bank, and a pool of real hashes of them.

**The rule**: the password of customer *n* is ``demo-password-`` and the last two digits of
*n* modulo 32, as in ``demo-password-07`` for 10000007. A change of password moves a customer to
another entry of the pool; ``login.password_hint`` tells which, so that an example app can say it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import bcrypt
from argon2.low_level import Type, hash_secret

POOL = 32
ARGON2_PASSES, ARGON2_MEMORY_KIB = 1, 64
"""Cheap, as all of the demo is: a real bank takes what its library does without being told."""

ARGON2_ENTRIES = 22
"""The first ones; the rest are bcrypt, as in a bank that changed over some years ago."""

_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BCRYPT_LAST = ".Oeu"
"""The last character of a bcrypt salt carries two bits only."""


def password(entry: int) -> str:
    """The password of an entry of the pool."""
    return f"demo-password-{entry % POOL:02d}"


@cache
def hashes(seed: int) -> Sequence[str]:
    """A real hash of each entry's password; cheap parameters, and the same for the same seed."""
    return [_hash(seed, entry) for entry in range(POOL)]


def _hash(seed: int, entry: int) -> str:
    salt = hashlib.sha256(f"salt {seed} {entry}".encode()).digest()
    secret = password(entry).encode()
    if entry < ARGON2_ENTRIES:
        made = hash_secret(secret, salt[:16], ARGON2_PASSES, ARGON2_MEMORY_KIB, 1, 32, Type.ID)
        return made.decode()
    letters = [_BCRYPT_ALPHABET[byte % 64] for byte in salt[:21]]
    text = "$2b$04$" + "".join(letters) + _BCRYPT_LAST[salt[21] % 4]
    return bcrypt.hashpw(secret, text.encode()).decode()
