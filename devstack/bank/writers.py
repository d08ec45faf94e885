"""What every product line's writer can do; the writers are in modules of their own.

A writer is used by one thread at a time. It makes its database anew, takes rows in bulk, and
puts the indexes on at the end; later it takes rows away by their key, to move the bank on.
"""

from __future__ import annotations

from typing import Protocol

import polars as pl

from devstack.bank.core_rows import Frames


class Writer(Protocol):
    """One product line's database, open for writing."""

    tables: tuple[str, ...]
    """The tables or collections, by the names that they have in a state."""

    def create(self) -> None:
        """Makes the database, empty; one of that name is dropped."""

    def write(self, frames: Frames) -> int:
        """Writes all rows of the product line's tables among these, and counts them."""

    def index(self) -> None:
        """Puts the indexes on."""

    def remove(self, table: str, keys: pl.DataFrame) -> None:
        """Takes the rows with these keys away."""

    def commit(self) -> None:
        """Makes what was written and removed visible, all at once."""

    def close(self) -> None:
        """Ends the connection; what is not committed is lost."""
