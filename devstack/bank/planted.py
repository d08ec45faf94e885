"""What was planted, and what a run must make of it, as one JSON file for tests.

``planted.json`` names rows by their generated keys only; it holds no other value of theirs.

====================== =======================================================================
key                    meaning
====================== =======================================================================
``seed``, ``users``,   what the bank was made from, and how far it was moved
``day``
``canary``             the token in every personal text
``users_with_profile`` how many users have one after a run into an empty Redis
``held``               the users who get none then, by id, with the reason
``datasets``           by dataset, in the report's own words: ``rows``, ``copies``, ``placed``,
                       ``reference``, ``filtered``, ``quarantined``; and ``keys``: by reason,
                       those of the quarantined rows (but rows of held users)
``planted``            by table and kind of mess: how many rows were spoilt, or added
``moved``              what the last day changed (null at the opening): ``changed`` by kind and
                       ``updated`` in all, ``seen`` (an incremental run finds them), ``unseen``,
                       ``created``, ``departed`` and ``newly_held`` users
====================== =======================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.bank.desk import Moved
from devstack.bank.ends import Ends
from devstack.bank.expected import Expected, expected_of
from devstack.bank.planting import MESS
from devstack.bank.state import State
from devstack.bank.words import CANARY
from devstack.folders import private_folder, write_private

FILE = "planted.json"


@dataclass
class Planted:
    """The sum over all blocks."""

    users: int = 0
    held: dict[int, str] = field(default_factory=dict)
    datasets: dict[str, Ends] = field(default_factory=dict)
    planted: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, state: State) -> Expected:
        """Adds a block; gives what is expected of it."""
        for table, rows in state.frames.items():
            kinds = rows[MESS].drop_nulls().value_counts(name="n")
            self.planted.setdefault(table, Counter()).update(dict(kinds.iter_rows()))
        expected = expected_of(state.frames)
        self.users += len(expected.users)
        self.held |= expected.held
        for name, ends in expected.datasets.items():
            total = self.datasets.setdefault(name, Ends())
            total += ends
        return expected

    def save(self, folder: Path, made_from: dict[str, Any], moved: Moved | None) -> Path:
        """Writes the file into the folder, for this user only.

        Args:
            folder: created where it is missing.
            made_from: the first keys of the file.
            moved: what the last day changed.
        """
        told = {
            **made_from,
            "canary": CANARY,
            "users_with_profile": self.users,
            "held": {str(user): reason for user, reason in sorted(self.held.items())},
            "datasets": {name: _told(ends) for name, ends in self.datasets.items()},
            "planted": {
                t: dict(sorted(kinds.items())) for t, kinds in self.planted.items() if kinds
            },
            "moved": None if moved is None else _told_of(moved),
        }
        path = private_folder(folder) / FILE
        write_private(path, json.dumps(told, indent=1) + "\n")
        return path


def _told_of(moved: Moved) -> dict[str, Any]:
    return {
        "changed": {kind: sorted(users) for kind, users in moved.changed.items()},
        "updated": sorted(moved.updated),
        "seen": sorted(moved.seen),
        "unseen": sorted(moved.updated - moved.seen),
        "created": sorted(moved.created),
        "departed": sorted(moved.departed),
        "newly_held": sorted(moved.newly_held),
    }


def _told(ends: Ends) -> dict[str, Any]:
    return {
        "rows": ends.rows,
        "copies": ends.copies,
        "placed": ends.placed,
        "reference": ends.reference,
        "filtered": dict(sorted(ends.filtered.items())),
        "quarantined": dict(sorted(ends.quarantined.items())),
        "keys": {reason: sorted(keys) for reason, keys in sorted(ends.keys.items())},
    }
