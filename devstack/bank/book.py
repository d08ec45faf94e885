"""The bank's book: what it was made from and how far it was moved, in a file beside the list."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from devstack.errors import DevstackError
from devstack.folders import private_folder, write_private

FILE = "bank.json"


@dataclass(frozen=True)
class Move:
    """One day's move: the share of customers that change, and the time that changed rows bear."""

    day: int
    share: float
    at: str

    @property
    def moment(self) -> datetime:
        """The time as a datetime in UTC."""
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Book:
    """All that it takes to make the bank's state again."""

    users: int
    seed: int
    prefix: str = "demo"
    moves: tuple[Move, ...] = field(default=())

    @property
    def day(self) -> int:
        """How often it was moved."""
        return len(self.moves)

    def save(self, folder: Path) -> None:
        """Writes the book into the folder, for this user only."""
        write_private(private_folder(folder) / FILE, json.dumps(asdict(self), indent=1) + "\n")


def load_book(folder: Path) -> Book:
    """The book of a bank that was loaded.

    Raises:
        DevstackError: there is none, or it can't be read.
    """
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        told["moves"] = tuple(Move(**move) for move in told["moves"])
        return Book(**told)
    except FileNotFoundError:
        raise DevstackError(f"no bank was loaded into {folder}: go 'load' first") from None
    except (ValueError, TypeError, KeyError):
        raise DevstackError(f"{path} can't be read: go 'load' again") from None
