"""`python -m devstack.bank load|move-on`: makes the demo bank, and moves it on by a day.

The servers come from the environment, as `python -m devstack up` prints them. The variables that
examples/demo_bank/pipeline.yaml needs are printed on standard output as NAME=URL lines; everything
else goes to standard error.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from devstack.bank.bank import SHARE, load, move_on
from devstack.bank.book import Book, load_book
from devstack.bank.planted import FILE
from devstack.bank.servers import servers_of
from devstack.errors import DevstackError
from devstack.folders import PROJECT, private_folder

LEAST_USERS, MOST_USERS = 1, 50_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 failed, 2 wrong arguments."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder.absolute()
    try:
        return _load(options, folder) if options.command == "load" else _move_on(options, folder)
    except DevstackError as error:
        print(f"bank: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bank: interrupted; the databases are not whole, go 'load' again", file=sys.stderr)
        return 130


def _load(options: argparse.Namespace, folder: Path) -> int:
    if not LEAST_USERS <= options.users <= MOST_USERS:
        raise DevstackError(f"--users must be between {LEAST_USERS} and {MOST_USERS:,}")
    servers = servers_of(folder=private_folder(folder), prefix=options.prefix)
    if servers.lends_in_sqlite:
        _say("no MariaDB is named: lending goes into a SQLite file")
    started = time.monotonic()
    book = Book(users=options.users, seed=options.seed, prefix=options.prefix)
    path = load(servers, book, folder, _say)
    _say(f"{options.users:,} customers in {time.monotonic() - started:.1f} s; planted: {path}")
    for name, url in servers.lines.items():
        print(f"{name}={url}")
    return 0


def _move_on(options: argparse.Namespace, folder: Path) -> int:
    book = load_book(folder)
    if options.day != book.day + 1:
        raise DevstackError(f"the bank is at day {book.day}: the next one is --day {book.day + 1}")
    if not 0 < options.share <= 0.2:
        raise DevstackError("--share must be above 0 and at most 0.2")
    servers = servers_of(folder=folder, prefix=book.prefix)
    moved = move_on(servers, folder, options.share, say=_say)
    _say(
        f"day {options.day}: {len(moved.updated):,} profiles change, {len(moved.created):,} are "
        f"new, {len(moved.departed):,} customers left; see {folder / FILE}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack.bank", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    loading = commands.add_parser("load", help="make the databases anew and fill them")
    loading.add_argument("--users", type=int, default=50_000, help="default: %(default)s")
    loading.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    loading.add_argument(
        "--prefix", default="demo", help="of the databases' names (default: %(default)s)"
    )
    moving = commands.add_parser("move-on", help="move the bank on by a day")
    moving.add_argument("--day", type=int, required=True, help="the next day, counted from 1")
    moving.add_argument(
        "--share", type=float, default=SHARE, help="of the customers that change (%(default)s)"
    )
    for command in (loading, moving):
        command.add_argument(
            "--folder",
            type=Path,
            default=PROJECT / ".devstack" / "bank",
            help="for planted.json and bank.json (default: %(default)s)",
        )
    return parser


def _say(text: str) -> None:
    print(f"bank: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
