"""Chooses users to look at: those with a profile, and one of them with much in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devstack.bank.state import FIRST_ID
from devstack.folders import PROJECT
from store.reader import Reader, reading_of
from store.unified_profile import UnifiedProfile

LOOKED_AT = 200


def users_with_profile(planted: Mapping[str, Any], number: int) -> list[int]:
    """The first customers that were not held."""
    held = {int(user) for user in planted["held"]}
    there = range(FIRST_ID, FIRST_ID + planted["users"])
    return [user for user in there if user not in held][:number]


def fullest(redis_url: str, config: str, users: Sequence[int]) -> int:
    """The first of the users with the most sections filled, loans among them."""
    with Reader(redis_url, reading_of(PROJECT / config)) as reader:
        found = reader.get_many(users[:LOOKED_AT])
    filled = {user: _filled(profile) for user, profile in found.items() if profile is not None}
    return int(max(filled, key=lambda user: filled[user]))


def _filled(profile: UnifiedProfile) -> int:
    loans = any(account["loans"] for account in profile["accounts"])
    return loans + sum(1 for section in profile.values() if section)
