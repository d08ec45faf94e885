"""`python -m devstack up|down|status`: the embedded servers from a shell.

`up` prints the addresses on standard output as NAME=URL lines, for `eval` and for a .env
file; everything else goes to standard error.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from devstack.detached import down, status, up
from devstack.errors import DevstackError
from devstack.folders import PROJECT
from devstack.proctree import is_alive
from devstack.services import ALL, DATABASES, SERVICES
from devstack.state import State

NOT_UP = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 failed, 3 not (wholly) up."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder.absolute()
    try:
        if options.command == "up":
            return _up(folder, prefect=not options.no_prefect)
        return _down(folder) if options.command == "down" else _status(folder)
    except DevstackError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("devstack: interrupted, nothing is left running", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start the servers and leave them running"),
        ("down", "end the servers that 'up' started and remove their data"),
        ("status", "say what runs"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "--folder",
            type=Path,
            default=PROJECT / ".devstack",
            help="for data, logs and state (default: %(default)s)",
        )
        if name == "up":
            command.add_argument("--no-prefect", action="store_true", help="databases only")
    return parser


def _up(folder: Path, *, prefect: bool) -> int:
    running = status(folder)
    if running is None:
        _say(f"starting in {folder} …")
    state = up(folder, ALL if prefect else DATABASES, os.environ)
    if running is not None and running.processes == state.processes:
        _say("it is up already")
    _notes(state)
    for name, service in SERVICES.items():
        if name in state.urls:
            print(f"{service.variable}={state.urls[name]}")
    return 0


def _down(folder: Path) -> int:
    ended = down(folder)
    _say(f"ended: {', '.join(ended)}" if ended else "nothing was up")
    return 0


def _status(folder: Path) -> int:
    state = status(folder)
    if state is None:
        _say("nothing is up")
        return NOT_UP
    for name, process in state.processes.items():
        life = "runs" if is_alive(process) else "has ended"
        print(f"{name:9} {life:9} pid {process.pid:<8} {state.urls.get(name, '')}".rstrip())
    _notes(state)
    return NOT_UP if state.dead or not state.ready else 0


def _notes(state: State) -> None:
    for name, service in SERVICES.items():
        if name in state.external:
            _say(f"{name}: not started, {service.variable} names a server of your own")
        if name in state.skipped:
            _say(f"{name}: skipped, {state.skipped[name]}")


def _say(text: str) -> None:
    print(f"devstack: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
