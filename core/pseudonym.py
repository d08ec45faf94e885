"""Keyed hashes that stand for users and keys where their names must not be told."""

from __future__ import annotations

import hmac

PSEUDONYM_LENGTH = 16
"""Hexadecimal digits: 64 bits, enough to tell some millions of users apart."""


def pseudonym(key: bytes, text: str) -> str:
    """A keyed hash (HMAC-SHA-256, shortened): the same for the same text under the same key."""
    made = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return made.hex()[:PSEUDONYM_LENGTH]
