"""Loads the demo bank and moves it on; each leaves the list of what a run must find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa
from pymongo.errors import PyMongoError

from devstack.bank.book import Book, Move, load_book
from devstack.bank.core_rows import Frames
from devstack.bank.desk import Moved
from devstack.bank.loading import load_blocks, writers_of
from devstack.bank.moves import moved_on, state_on
from devstack.bank.moving import write_move
from devstack.bank.planted import Planted
from devstack.bank.servers import Servers
from devstack.bank.state import BLOCK, blocks_of, opening_state
from devstack.bank.writers import Writer
from devstack.errors import DevstackError

Say = Callable[[str], None]

_DRIVER_ERRORS = (
    psycopg.Error,
    pymysql.MySQLError,
    PyMongoError,
    sa.exc.SQLAlchemyError,
    OSError,
)

SHARE = 0.05
"""Of the customers, how many change in a day."""


def load(servers: Servers, book: Book, folder: Path, say: Say = lambda _: None) -> Path:
    """Makes the bank's databases anew and fills them; gives the path of ``planted.json``.

    Args:
        servers: where to.
        book: which bank; without moves.
        folder: for the list and the book.
        say: told of the progress, in words.

    Raises:
        DevstackError: a server can't be reached, or refuses.
    """
    planted = Planted()

    def blocks() -> Iterator[Frames]:
        for block in range(blocks_of(book.users)):
            state = opening_state(book.seed, block, book.users)
            planted.add(state)
            yield state.frames
            done = min((block + 1) * BLOCK, book.users)
            say(f"{done:,} of {book.users:,} customers made")

    with _open(servers) as writers:
        load_blocks(writers, blocks(), say)
    book.save(folder)
    return planted.save(folder, _made_from(book), None)


def move_on(
    servers: Servers,
    folder: Path,
    share: float = SHARE,
    at: datetime | None = None,
    say: Say = lambda _: None,
) -> Moved:
    """Moves the bank on by a day, and keeps the list of what changed in ``planted.json``.

    Args:
        servers: where the bank is.
        folder: where ``load`` left its book.
        share: of the customers, how many change.
        at: the time that changed rows bear; default: now, as an incremental run expects.
        say: told of the progress, in words.

    Raises:
        DevstackError: no bank was loaded, or a server can't be reached, or refuses.
    """
    book = load_book(folder)
    moment = (at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    move = Move(book.day + 1, share, moment.isoformat())
    planted, moved = Planted(), Moved()
    blocks = blocks_of(book.users)
    with _open(servers) as writers:
        for block in range(blocks):
            made = moved_on(state_on(book, block), book.seed, block, move)
            write_move(writers, made.before.frames, made.after.frames)
            planted.add(made.after)
            moved.add(made.moved)
            say(f"block {block + 1} of {blocks}: {len(made.moved.updated):,} profiles change")
    book = replace(book, moves=(*book.moves, move))
    book.save(folder)
    planted.save(folder, _made_from(book), moved)
    return moved


def _made_from(book: Book) -> dict[str, Any]:
    return {"seed": book.seed, "users": book.users, "day": book.day}


@contextmanager
def _open(servers: Servers) -> Iterator[dict[str, Writer]]:
    """The writers, closed at the end; the drivers' errors in plain words."""
    writers: dict[str, Writer] = {}
    try:
        writers = writers_of(servers)
        yield writers
    except _DRIVER_ERRORS as error:
        first = str(error).strip().partition("\n")[0]
        raise DevstackError(f"the bank's databases: {type(error).__name__}: {first}") from None
    finally:
        for writer in writers.values():
            writer.close()
