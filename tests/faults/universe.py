"""A bank in which every value names its owner, its source and its version: ``u17/core/v3/email``.

One profile alone shows whether it is mixed or torn. The bank moves from version to version: users
change, join, leave, return, are locked. The same seed always gives the same bank. Accounts,
cards and clients are numbered in the same range and in another order each, so that a join by the
wrong key finds another user.

Nothing here knows the product. ``tables`` is what the sources hold (``sources.py`` puts it
there), and all that the model sees.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]
"""Rows by table: client, login, disp, entitlement, loan, card."""

CLIENT, LOGIN, LENDING, CARDS, RIGHTS = "core", "login", "lending", "cards", "rights"
PARTS = (CLIENT, LOGIN, LENDING, CARDS, RIGHTS)


@dataclass
class User:
    """One living user: at which version of the bank each part of him last changed."""

    number: int
    versions: dict[str, int]
    locked: bool
    loans: int
    cards: int
    rights: int

    def value(self, part: str, name: str) -> str:
        """A value of his, as in ``u17/core/v3/email``."""
        return f"u{self.number}/{part}/v{self.versions[part]}/{name}"


@dataclass
class Moved:
    """What a step to the next version did: the numbers of the users."""

    changed: set[int] = field(default_factory=set)
    joined: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)


class Universe:
    """The bank at its present version; version 1 at first.

    Args:
        users: how many there are at first; about as many always.
    """

    def __init__(self, seed: int, users: int) -> None:
        self._random = random.Random(seed)
        self.version = 1
        room = 2 * users
        self._accounts = self._random.sample(range(1, room + 1), room)
        self._disps = self._random.sample(range(1, room + 1), room)
        self.users = {number: self._new(number) for number in range(1, users + 1)}
        self._gone: list[int] = []
        self._next, self._room = users + 1, room

    def move(
        self,
        changed: float = 0.3,
        joining: float = 0.02,
        leaving: float = 0.02,
        returning: float = 0.5,
    ) -> Moved:
        """Goes to the next version.

        Args:
            changed: the share of the users of whom some part changes (his lock, now and then).
            joining: new users, as a share of all; leaving: likewise.
            returning: the share of those who are gone who come back.
        """
        self.version += 1
        moved = Moved()
        for number in self._some(list(self.users), changed):
            self._change(self.users[number])
            moved.changed.add(number)
        for number in self._some(self._gone, returning):
            self._gone.remove(number)
            self.users[number] = self._new(number)
            moved.returned.add(number)
        for number in self._some(sorted(set(self.users) - moved.returned), leaving):
            del self.users[number]
            self._gone.append(number)
            moved.left.add(number)
        for _ in range(round(joining * len(self.users))):
            if self._next > self._room:
                break
            self.users[self._next] = self._new(self._next)
            moved.joined.add(self._next)
            self._next += 1
        return moved

    def change_all(self) -> None:
        """Goes to the next version, in which every part of every user has changed."""
        self.version += 1
        for user in self.users.values():
            user.versions = dict.fromkeys(PARTS, self.version)

    def tables(self) -> Tables:
        """All rows of the sources, in an order of no meaning."""
        found: Tables = {
            name: [] for name in ("client", "login", "disp", "entitlement", "loan", "card")
        }
        for user in self.users.values():
            number = user.number
            account, disp = self._accounts[number - 1], self._disps[number - 1]
            found["client"].append(
                {
                    "client_id": number,
                    "name": user.value(CLIENT, "name"),
                    "email": user.value(CLIENT, "email"),
                    "pin": user.value(CLIENT, "pin"),
                }
            )
            found["login"].append(
                {"client_id": number, "locked": user.locked, "state": user.value(LOGIN, "state")}
            )
            found["disp"].append({"disp_id": disp, "account_id": account, "client_id": number})
            for place in range(user.rights):
                value = user.value(RIGHTS, f"right{place}")
                found["entitlement"].append({"client_id": number, "entitlement": value})
            for place in range(user.loans):
                value = user.value(LENDING, f"loan{place}")
                row = {"loan_id": 10 * number + place, "account_id": account, "terms": value}
                found["loan"].append(row)
            for place in range(user.cards):
                value = user.value(CARDS, f"card{place}")
                row = {"card_id": 10 * number + place, "disp_id": disp, "terms": value}
                found["card"].append(row)
        for rows in found.values():
            self._random.shuffle(rows)
        return found

    def _new(self, number: int) -> User:
        chance = self._random
        return User(
            number,
            dict.fromkeys(PARTS, self.version),
            chance.random() < 0.05,
            chance.randrange(3),
            chance.randrange(3),
            chance.randrange(4),
        )

    def _change(self, user: User) -> None:
        chance = self._random
        for part in chance.sample(PARTS, chance.randint(1, len(PARTS))):
            user.versions[part] = self.version
        if chance.random() < 0.2:
            user.locked = not user.locked
        user.loans, user.cards = chance.randrange(3), chance.randrange(3)

    def _some(self, numbers: list[int], share: float) -> list[int]:
        return self._random.sample(numbers, round(share * len(numbers)))
