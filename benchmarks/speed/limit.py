"""The limit: how fast ``redis-cli --pipe`` sends the very documents that the pipeline wrote."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.speed.ground import PROFILES, Ground
from store.client import Client
from store.resp import packed

_AT_ONCE = 500


@dataclass(frozen=True)
class Commands:
    """A file with a JSON.SET for each document.

    Attributes:
        size: bytes of all documents' JSON.
    """

    path: Path
    number: int
    size: int


def written(ground: Ground) -> Commands:
    """Writes the file, from what is in Redis."""
    path, number, size = ground.folder / "commands.resp", 0, 0
    with ground.client() as client, path.open("wb") as file:
        for key, document in documents(client):
            file.write(packed("JSON.SET", key, "$", document))
            number, size = number + 1, size + len(document)
    return Commands(path, number, size)


def documents(client: Client) -> Iterator[tuple[bytes, bytes]]:
    """Key and JSON of every profile, in the order of their keys.

    That of SCAN is the order of Redis' own hash table: filled in it, Redis took 18 microseconds for
    a JSON.SET where it took 20 in any other. A loader can't know it.
    """
    keys = iter(sorted(client.scan_iter(match=PROFILES, count=1_000)))
    while chunk := list(islice(keys, _AT_ONCE)):
        pipe = client.pipeline(transaction=False)
        for key in chunk:
            pipe.execute_command("JSON.GET", key)
        yield from zip(chunk, pipe.execute(), strict=True)


def piped(ground: Ground, commands: Commands) -> tuple[float, float]:
    """Seconds for sending all of them to an empty Redis, and its CPU seconds.

    Raises:
        SystemExit: Redis refused one.
    """
    program, environ = ground.redis_cli
    ground.empty()
    before = ground.redis_cpu_s()
    with commands.path.open("rb") as file:
        started = time.monotonic()
        done = subprocess.run(
            [*program, "--pipe"], env=environ, stdin=file, capture_output=True, text=True
        )
        seconds = time.monotonic() - started
    if not told_all(done.stdout, commands.number):
        sys.exit(f"redis-cli --pipe: {done.stdout}{done.stderr}")
    return seconds, ground.redis_cpu_s() - before


def told_all(out: str, number: int) -> bool:
    """Whether ``redis-cli --pipe`` says that so many commands were carried out."""
    found = re.search(r"errors: (\d+), replies: (\d+)", out)
    return found is not None and found.groups() == ("0", str(number))
