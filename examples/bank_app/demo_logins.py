"""Finds customers of the demo bank to log in as; each has been tried before he is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.refusal import Refusal
from devstack.bank.passwords import password
from devstack.bank.state import FIRST_ID
from examples.bank_app.offers import MOST, offers_of
from store.login import Entrance, Login
from store.reader import Reader

LOOKED_AT = 5_000
AT_ONCE = 100

ALL, FEW, LOCKED = "offers, may pay", "may not pay", "locked"
KINDS = (ALL, FEW, LOCKED)


@dataclass(frozen=True)
class DemoLogin:
    """What to type, and what comes of it."""

    kind: str
    email: str
    password: str


def demo_logins(reader: Reader, login: Login) -> list[DemoLogin]:
    """One customer of each kind, as far as there are such ones among the first thousands.

    Raises:
        TargetError: Redis can't be read.
    """
    found: dict[str, DemoLogin] = {}
    for email, typed in _customers(reader):
        kind = _kind(login.authenticate(email, typed))
        if kind is not None:
            found.setdefault(kind, DemoLogin(kind, email, typed))
        if len(found) == len(KINDS):
            break
    return [found[kind] for kind in KINDS if kind in found]


def _customers(reader: Reader) -> Iterator[tuple[str, str]]:
    """E-mail addresses and the passwords of old: a few have changed theirs."""
    for start in range(FIRST_ID, FIRST_ID + LOOKED_AT, AT_ONCE):
        known = reader.get_many(range(start, start + AT_ONCE), "identity.email")
        for user, profile in known.items():
            email = profile.at("identity.email") if profile is not None else None
            if email is not None:
                yield email, password(int(user))


def _kind(entrance: Entrance) -> str | None:
    if entrance.profile is None:
        return LOCKED if entrance.reason is Refusal.LOCKED else None
    if "payments.create" not in entrance.profile["permissions"]:
        return FEW
    return ALL if len(offers_of(entrance.profile)) == MOST else None
