"""`python -m devstack.demo`, which is `make demo`; with `down` it ends what KEEP=1 has left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from devstack.bank import servers_of
from devstack.demo.ground import FOLDER, end, environment, ground, server_environment
from devstack.demo.kept import keep_up
from devstack.demo.play import Stage, play
from devstack.demo.runs import Runs
from devstack.demo.screen import Screen
from devstack.detached import terminated_as_exit
from devstack.errors import DevstackError

LEAST_USERS, MOST_USERS = 500, 5_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Shows the demo; the exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    options = _parser().parse_args(arguments)
    screen = Screen.on_stdout()
    try:
        with terminated_as_exit():
            if options.command == "down":
                ended = end()
                screen.line(f"ended: {', '.join(ended)}" if ended else "nothing was up")
            else:
                _show(screen, options.users, keep=options.keep)
    except DevstackError as error:
        screen.line(f"\nThe demo failed: {error}", "red")
        return 1
    except KeyboardInterrupt:
        screen.line("\nInterrupted; nothing is left running.")
        return 130
    return 0


def _show(screen: Screen, users: int, *, keep: bool) -> None:
    screen.title("profile-prefetch: everything on this machine, in this folder, without root")
    with ground(screen, keep=keep) as urls:
        servers = servers_of(server_environment(urls), FOLDER / "bank")
        environ = environment(urls, servers.lines)
        runs = Runs(environ, FOLDER / "logs")
        play(Stage(screen, servers, urls["redis"], runs, FOLDER / "bank"), users)
        if keep:
            keep_up(screen, urls, environ)
    if not keep:
        screen.title("Done. All servers are stopped, and their data are removed.")
        screen.line("KEEP=1 make demo leaves them up, to look around in Prefect's UI.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack.demo", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("show", "down"), default="show")
    parser.add_argument("--users", type=_users, default=50_000, help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave all of it up at the end")
    return parser


def _users(text: str) -> int:
    plain = text.replace("_", "").replace(",", "")
    if not plain.isdecimal() or not LEAST_USERS <= int(plain) <= MOST_USERS:
        raise argparse.ArgumentTypeError(
            f"USERS must be a whole number from {LEAST_USERS} to {MOST_USERS:,}"
        )
    return int(plain)


if __name__ == "__main__":
    sys.exit(main())
