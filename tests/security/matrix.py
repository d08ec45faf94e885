"""What each Redis user of deploy/grants may do: every command of a server tried as every user.

``python -m tests.security.matrix`` writes the table of docs/redis-users.md anew.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from devstack import RedisServer
from tests.security import grants

PAGE = grants.ROOT / "docs" / "redis-users.md"
REGION = re.compile(r"(?<=<!-- matrix -->\n).*?(?=<!-- end of matrix -->)", re.DOTALL)
OWN = "root-of-these-tests"
"""The default user's password: without one, RESET would make anybody the default user."""

FAMILIES = {
    "profiles": "profile:7",
    "credentials": "credential:7",
    "floors": "prefetch:demo_bank:floor:0",
    "views": "prefetch:demo_bank:views",
    "audit": "prefetch:demo_bank:audit",
    "canaries": "prefetch:demo_bank:canary:x",
    "control": "prefetch:demo_bank:epoch",
    "index": "idx:demo_bank",
    "versions": "idx:demo_bank:5-1",
    "others": "somebody:7",
    "others' control": "prefetch:other_bank:epoch",
}
"""One key of each kind; an index's name counts as a key."""
CONTROL = ("floors", "views", "audit", "canaries", "control")

ALWAYS = {"auth", "hello", "quit", "reset"}
"""What Redis lets everybody do, whatever the rules say."""

Cells = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By command and user, the kinds of keys it may be used with; ``yes`` for a command without."""


@dataclass
class Matrix:
    """What was found, and how.

    ``tried`` counts the questions and tries, ``refused`` the tries that the server really refused;
    ``broken`` are tries that it should have refused, for ``ACL DRYRUN`` says so.
    """

    cells: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    commands: int = 0
    tried: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Command:
    """A command or subcommand, and where its arguments and keys stand."""

    name: str
    words: tuple[str, ...]
    arity: int
    first: int
    last: int

    def with_key(self, key: str) -> tuple[str, ...]:
        """The command with enough arguments, the key wherever it takes one."""
        last = self.first if self.last < 0 else self.last
        size = max(abs(self.arity), last + 1, len(self.words))
        filled = [*self.words, *["1"] * (size - len(self.words))]
        for place in range(self.first, last + 1) if self.first else ():
            filled[place] = key
        return tuple(filled)


def server(folder: Path) -> RedisServer:
    """A Redis with a password, not yet started; what its settings forbid is open, too."""
    enabled = ("--enable-debug-command", "yes", "--enable-module-command", "yes")
    return RedisServer(folder, password=OWN, extra_args=enabled)


def commands_of(admin: redis.Redis) -> list[Command]:
    """Every command and subcommand that the server has, but for mere groups of subcommands."""
    admin.response_callbacks.clear()
    names: list[str] = [name.lower() for name in admin.execute_command("COMMAND LIST")]
    groups = {name.partition("|")[0] for name in names if "|" in name}
    wanted = sorted(name for name in set(names) - groups)
    found = []
    for name, told in zip(wanted, admin.execute_command("COMMAND INFO", *wanted), strict=True):
        found.append(Command(name, tuple(name.split("|")), told[1], told[3], told[4]))
    return found


def measured(url: str) -> Matrix:
    """Tries everything; the users of the file must be there."""
    made = Matrix()
    with redis.Redis.from_url(url, decode_responses=True) as admin:
        commands = commands_of(admin)
        made.commands = len(commands)
        for user in grants.redis_users():
            as_user = grants.as_user(url, user)
            with redis.Redis.from_url(as_user, decode_responses=True, socket_timeout=10) as client:
                _try_all(admin, client, user, commands, made)
    return made


def _try_all(
    admin: redis.Redis, client: redis.Redis, user: str, commands: list[Command], made: Matrix
) -> None:
    questions = [
        (each, kind, each.with_key(key))
        for each in commands
        for kind, key in (FAMILIES.items() if each.first else (("yes", "1"),))
    ]
    told = _all(admin, [("ACL", "DRYRUN", user, *words) for _, _, words in questions])
    denied = []
    for (command, kind, words), answer in zip(questions, told, strict=True):
        made.tried += 1
        if answer == "OK":
            cell = made.cells.setdefault(command.name, {})
            cell[user] = (*cell.get(user, ()), kind)
        else:
            assert "has no permissions to" in str(answer), (words, answer)
            denied.append(words)
    for words, answer in zip(denied, _all(client, denied), strict=True):
        made.tried += 1
        # EXEC gives the reason behind an error of its own.
        if isinstance(answer, redis.RedisError) and "no permissions to" in str(answer).lower():
            made.refused += 1
        else:
            made.broken.append(f"{user}: {' '.join(words)}")


def _all(client: redis.Redis, commands: list[tuple[str, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        pipe.response_callbacks.clear()
        for words in commands:
            pipe.execute_command(*words)
        return pipe.execute(raise_on_error=False)


def table(cells: Cells) -> str:
    """The table as it stands on the page."""
    users = list(grants.redis_users())
    lines = [f"| command | {' | '.join(users)} |", f"| --- |{' --- |' * len(users)}"]
    for command in sorted(set(cells) - ALWAYS):
        told = (_told(cells[command].get(user, ())) for user in users)
        lines.append(f"| `{command.replace('|', ' ')}` | {' | '.join(told)} |")
    return "\n".join([*lines, ""])


def _told(kinds: tuple[str, ...]) -> str:
    shown = list(kinds)
    if set(CONTROL) <= set(kinds):
        shown = [kind for kind in kinds if kind == "control" or kind not in CONTROL]
        shown[shown.index("control")] = "all control"
    return ", ".join(shown) or "–"


def published() -> str:
    """The table that the page has."""
    found = REGION.search(PAGE.read_text(encoding="utf-8"))
    return found[0].strip("\n") + "\n" if found else ""


def differences(found: Matrix) -> list[str]:
    """Lines of the table that are not as published, and tries that were not refused."""
    ours, theirs = table(found.cells).splitlines(), published().splitlines()
    odd = sorted(set(ours) ^ set(theirs))
    odd += [f"not alone open to all: {name}" for name in sorted(_not_open(found.cells))]
    return odd + found.broken


def _not_open(cells: Cells) -> Iterator[str]:
    """Of what Redis lets everybody do: what is not open to all, so that the page is wrong."""
    everybody = set(grants.redis_users())
    return (name for name in ALWAYS if set(cells.get(name, {})) != everybody)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, server(Path(place)) as running:
        grants.apply_redis(running.url)
        written = table(measured(running.url).cells)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(REGION.sub(lambda _: f"\n{written}\n", page), encoding="utf-8")
