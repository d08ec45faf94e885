"""What ``WAIT`` costs a load: ``python -m benchmarks.wait_replicas``.

A primary with a replica of its own; the store's writer alone, all documents changed, with and
without ``PREFETCH_WAIT_REPLICAS=1`` in turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

import orjson

from core.pipeline import Profile
from core.records import BucketDocuments
from devstack import RedisServer
from store.client import client_of
from store.keys import Keys
from store.writer import BucketWriter, Limits, Pass

USERS, BUCKETS, ROUNDS, BYTES = 20_000, 64, 7, 900
STEP_MS = 20_000

KEYS = Keys(Profile(name="wait", anchor="a.b", buckets=BUCKETS))


def documents(version: int) -> list[BucketDocuments]:
    """All users' documents, by bucket."""
    users: list[list[str]] = [[] for _ in range(BUCKETS)]
    for number in range(USERS):
        users[KEYS.bucket_of(str(number))].append(str(number))
    return [
        BucketDocuments(
            bucket,
            ids,
            [
                orjson.dumps({"user_id": user, "version": version, "pad": "x" * BYTES})[:-1]
                for user in ids
            ],
            [None] * len(ids),
            {},
        )
        for bucket, ids in enumerate(users)
    ]


def load(url: str, epoch: int, replicas: int) -> float:
    """Seconds that a load takes."""
    made, this = documents(epoch), Pass(epoch, uuid4().hex, 1, complete=True)
    started = time.perf_counter()
    with BucketWriter(url, KEYS, limits=Limits(replicas=replicas)) as writer:
        for each in made:
            writer.load(each, this)
    return time.perf_counter() - started


def main() -> None:
    """Loads in turns, and prints the seconds."""
    seconds: dict[int, list[float]] = {0: [], 1: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder) / "primary") as primary,
        RedisServer(Path(folder) / "replica", replica_of=primary) as _,
        client_of(primary.url) as client,
    ):
        for turn in range(ROUNDS):
            for replicas in (turn % 2, 1 - turn % 2):
                epoch = int(client.incr(KEYS.epoch))
                if client.execute_command("WAIT", 1, STEP_MS) < 1:
                    raise SystemExit("the replica does not follow")
                seconds[replicas].append(load(primary.url, epoch, replicas))
    for replicas, taken in seconds.items():
        sys.stdout.write(
            f"{replicas} replicas: {median(taken):.2f} s "
            f"({min(taken):.2f} to {max(taken):.2f}), {USERS:,} users, {BUCKETS} buckets\n"
        )


if __name__ == "__main__":
    main()
