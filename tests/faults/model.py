"""What Redis must hold, by plain dictionaries: nothing here is shared with the product.

``world_of`` makes the documents of one version of the universe from the rows of its tables, by
joins of its own. ``History`` knows some versions at once and tells which of them a document fits.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.universe import Tables


class Pair(NamedTuple):
    """A user's two documents as JSON text without ``_meta``; None where there is none."""

    profile: bytes | None
    credential: bytes | None


NOBODY = Pair(None, None)


@dataclass
class World:
    """What Redis must hold at one version: user id → the pair of documents."""

    version: int
    users: dict[str, Pair] = field(default_factory=dict)

    def of(self, user: str) -> Pair:
        """The user's documents, of which there are none for a stranger."""
        return self.users.get(user, NOBODY)


EMPTY = World(0)
"""What Redis holds before the first run."""


def world_of(version: int, tables: Tables) -> World:
    """The documents that these rows must give."""
    owner_of_account = {row["account_id"]: row["client_id"] for row in tables["disp"]}
    holder_of_disp = {row["disp_id"]: row["client_id"] for row in tables["disp"]}
    logins = {row["client_id"]: row for row in tables["login"]}
    rights: dict[int, list[str]] = defaultdict(list)
    for row in tables["entitlement"]:
        rights[row["client_id"]].append(row["entitlement"])
    loans: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in tables["loan"]:
        loans[owner_of_account[row["account_id"]]].append(
            {"loan_id": row["loan_id"], "terms": row["terms"]}
        )
    cards: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in tables["card"]:
        cards[holder_of_disp[row["disp_id"]]].append(
            {"card_id": row["card_id"], "terms": row["terms"]}
        )
    world = World(version)
    for client in tables["client"]:
        number = client["client_id"]
        login = logins[number]
        profile = {
            "user_id": number,
            "identity": {"name": client["name"], "email": client["email"]},
            "auth": {"locked": login["locked"], "state": login["state"]},
            "permissions": sorted(rights[number]),
            "products": {
                "loans": sorted(loans[number], key=lambda loan: int(loan["loan_id"])),
                "cards": sorted(cards[number], key=lambda card: int(card["card_id"])),
            },
        }
        credential = {"user_id": number, "identity": {"pin": client["pin"]}}
        world.users[str(number)] = Pair(_text(profile), _text(credential))
    return world


class History:
    """The versions that matter now; version 0 is the empty Redis."""

    def __init__(self) -> None:
        self.worlds: dict[int, World] = {0: EMPTY}

    def add(self, world: World, keep: int) -> None:
        """Takes in a version, and forgets all but the last ones (and the empty one)."""
        self.worlds[world.version] = world
        for version in sorted(self.worlds)[1:-keep]:
            del self.worlds[version]

    @property
    def newest(self) -> World:
        """The last version that was taken in."""
        return self.worlds[max(self.worlds)]

    def fitting(self, user: str, pair: Pair, versions: Collection[int] | None = None) -> list[int]:
        """At which of these versions (default: of all) the user's documents are just these."""
        among = self.worlds if versions is None else versions
        return sorted(v for v in among if self.worlds[v].of(user) == pair)

    def everybody(self, versions: Iterable[int]) -> set[str]:
        """Users who live at some of these versions."""
        return {user for version in versions for user in self.worlds[version].users}

    def living(self, versions: Iterable[int]) -> set[str]:
        """Users who live at all of these versions: a reader must always find them."""
        return set.intersection(*(set(self.worlds[version].users) for version in versions))


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
