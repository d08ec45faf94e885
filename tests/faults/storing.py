"""The product's store as a process of its own, over documents that the model made: cheap trials.

Forked from a warm process (``Yard.start``). A writer draws its epoch and takes the bank as it is at
that moment, as a run does with its snapshots; then it loads all buckets, or some users, or removes
one, as the flows do.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self
from uuid import uuid4

import redis

from core.errors import FenceLost, TargetUnavailable
from core.pipeline import Profile
from core.records import BucketDocuments
from store import lanes
from store.client import Timeouts, client_of
from store.epoch import draw_epoch
from store.keys import Keys
from store.readback import check_bucket
from store.scan import users_in_redis
from store.writer import BucketWriter, Limits, Pass
from tests.faults.campaign import Ground
from tests.faults.model import History
from tests.faults.universe import Universe
from tests.faults.watched import Watched
from tests.forked import Forked

Kind = Literal["nightly", "backfill", "sweep", "removal"]
BUCKETS = 4
KEYS = Keys(Profile(name="faults", anchor="a.b", buckets=BUCKETS))
PROGRAM = "from tests.faults.storing import main\nmain()\n"
CURRENT = "current.json"
TRIAL_S = 60.0


@dataclass(frozen=True)
class Order:
    """What a writer shall do; ``users`` are those of a backfill, a sweep, or the one to remove.

    A removal is ``prefetch forget``: where a newer run has taken the bucket, it begins again under
    a new epoch. A sweep stops there, as a run does.
    """

    url: str
    folder: str
    kind: Kind
    users: list[str] = field(default_factory=list)
    pause_s: float = 0.0
    """Between its epoch and its first write."""
    stop_at: int = 0
    """Stops itself just before it sends the batch of that number."""
    alive_s: float = 5.0
    answer_s: float = 10.0
    tries: int = 5


@dataclass(frozen=True)
class Result:
    """How a writer has ended; ``version`` is what it saw. Times are of this machine's clock."""

    end: str
    epoch: int = -1
    version: int = -1
    drawn: float = 0.0
    ended: float = 0.0
    error: str = ""


def stop_before(number: int) -> None:
    """Makes the process stop itself once, with that batch composed and its fence compared."""
    numbers, send = itertools.count(1), lanes.Lane.send

    def stalled(lane: lanes.Lane, batch: lanes.Batch, refresh: bytes, found: bytes) -> None:
        if batch.writes and next(numbers) == number:
            # To this thread: one sent to the process might stop it a little later.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        send(lane, batch, refresh, found)

    lanes.Lane.send = stalled  # type: ignore[method-assign]


def main() -> None:
    """A writer, from its order to its result."""
    order = Order(**json.loads(sys.argv[1]))
    if order.stop_at:
        stop_before(order.stop_at)
    writer = _Writer(order)
    end, error = "success", ""
    try:
        if order.kind == "removal":
            writer.remove()
        else:
            writer.load()
    except FenceLost:
        end = "refused"
    except TargetUnavailable as unavailable:
        end, error = "unavailable", str(unavailable)
    except Exception as other:
        end, error = "failed", f"{type(other).__name__}: {other}"
    result = Result(end, writer.epoch, writer.version, writer.drawn, time.monotonic(), error)
    sys.stdout.write(json.dumps(vars(result)) + "\n")


class _View:
    """The bank as it was when this was made."""

    def __init__(self, folder: str) -> None:
        told = json.loads((Path(folder) / CURRENT).read_text(encoding="utf-8"))
        self.version, self.users = told["version"], told["users"]

    def close(self) -> None:
        pass


class _Writer:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.epoch = self.version = -1
        self.drawn = 0.0
        self._timeouts = Timeouts(answer_s=order.answer_s)
        self._limits = Limits(
            batch_documents=8, fence_alive_s=order.alive_s, tries=order.tries, fence_wait_s=30
        )

    def load(self) -> None:
        """What a nightly run, a backfill or a sweep does from the snapshots on."""
        with client_of(self.order.url, self._timeouts) as client:
            self.epoch, view = draw_epoch(client, KEYS, lambda: _View(self.order.folder))
        self.version, self.drawn = view.version, time.monotonic()
        time.sleep(self.order.pause_s)
        if self.order.kind == "sweep":
            return self._remove(set(self.order.users))
        wanted, whole = view.users, self.order.kind == "nightly"
        if not whole:
            wanted = {user: view.users[user] for user in self.order.users if user in view.users}
        for bucket in range(BUCKETS):
            self._load_bucket(bucket, wanted, whole)
        gone = self._in_redis() if whole else set(self.order.users)
        self._remove(gone - set(wanted))

    def remove(self) -> None:
        """What ``prefetch forget`` does in Redis."""
        from flows import forgetting

        settings = SimpleNamespace(
            redis_url=SimpleNamespace(get_secret_value=lambda: self.order.url),
            redis_timeout_s=self.order.answer_s,
            batch_documents=8,
            load_threads=1,
            fence_wait_s=30.0,
            fence_alive_s=self.order.alive_s,
            wait_replicas=0,
            wait_timeout_s=1.0,
        )
        draw = forgetting.draw_epoch

        def drawn(*given: Any, **named: Any) -> Any:
            self.epoch, nothing = draw(*given, **named)
            self.version, self.drawn = 0, time.monotonic()
            time.sleep(self.order.pause_s)
            return self.epoch, nothing

        forgetting.draw_epoch = drawn  # type: ignore[assignment]
        profile = SimpleNamespace(schema_version=1)
        plan = SimpleNamespace(pipeline=SimpleNamespace(profile=profile, index=None))
        forgetting._removed(plan, settings, KEYS, self.order.users[0])  # type: ignore[arg-type]

    def _load_bucket(self, bucket: int, wanted: dict[str, list[str]], whole: bool) -> None:
        ids = [user for user in wanted if KEYS.bucket_of(user) == bucket]
        if not ids and not whole:
            return
        documents = BucketDocuments(
            bucket,
            ids,
            [wanted[user][0][:-1].encode() for user in ids],
            [wanted[user][1][:-1].encode() for user in ids],
        )
        this = Pass(self.epoch, uuid4().hex, 1, complete=whole, raise_epoch=not whole)
        with self._writer() as writer:
            loaded = writer.load(documents, this)
        found = check_bucket(self.order.url, KEYS, loaded.expected, timeouts=self._timeouts)
        if found.findings or loaded.quarantined:
            raise AssertionError(f"check: {dict(found.findings)}, {dict(loaded.quarantined)}")

    def _remove(self, users: set[str]) -> None:
        this = Pass(self.epoch, uuid4().hex, 1, complete=False)
        for bucket in range(BUCKETS):
            mine = sorted(user for user in users if KEYS.bucket_of(user) == bucket)
            if mine:
                with self._writer() as writer:
                    writer.remove(bucket, mine, this)

    def _in_redis(self) -> set[str]:
        with client_of(self.order.url, self._timeouts) as client:
            return {user for users in users_in_redis(client, KEYS) for user in users}

    def _writer(self) -> BucketWriter:
        return BucketWriter(self.order.url, KEYS, timeouts=self._timeouts, limits=self._limits)


class Yard(Watched):
    """A Redis, the model's bank, and writers as processes, as long as the block lasts."""

    kept = 12

    def __init__(self, ground: Ground, seed: int, users: int) -> None:
        super().__init__(ground, seed, Universe(seed, users), History())
        self.folder = ground.new_folder("yard")
        self.server = ground.redis()
        self.put()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.server)
        self.client = self._cleanup.enter_context(redis.Redis.from_url(self.server.url))
        self.watch(self.server.url, reading=False)
        return self

    def put(self) -> None:
        """Shows the bank as it is to the writers that begin from now on."""
        super().put()
        world = self.world
        users = {
            user: [(text or b"").decode() for text in pair] for user, pair in world.users.items()
        }
        new = self.folder / "new.json"
        new.write_text(json.dumps({"version": world.version, "users": users}), encoding="utf-8")
        os.replace(new, self.folder / CURRENT)

    def everybody(self) -> list[str]:
        """All users that have ever been."""
        return [str(number) for number in range(1, self.universe._next)]

    def start(self, kind: Kind, *users: str, url: str | None = None, **more: Any) -> Forked:
        """Starts a writer."""
        order = Order(url or self.server.url, str(self.folder), kind, list(users), **more)
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        return self.ground.forks.prefetch(json.dumps(vars(order)), env=environ, program=PROGRAM)

    def ended(self, process: Forked) -> Result:
        """A writer's result.

        Raises:
            subprocess.TimeoutExpired: it hangs.
        """
        with process:
            out, errors = process.communicate(TRIAL_S)
        if not out:
            return Result("killed", error=errors[-300:])
        return Result(**json.loads(out.splitlines()[-1]))

    def run(self, kind: Kind, *users: str, **more: Any) -> Result:
        """A writer from its start to its end."""
        return self.ended(self.start(kind, *users, **more))

    def dump(self) -> dict[str, bytes]:
        """Every document as it is stored, ``_meta`` included."""
        found: dict[str, bytes] = {}
        keys = [key for prefix in ("profile:", "credential:") for key in self._scan(prefix)]
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command("JSON.GET", key)
            for key, text in zip(keys, pipe.execute(), strict=True):
                found[key.decode()] = text
        return found

    def executed(self) -> int:
        """How many EXECs the server has been sent so far."""
        told: Any = self.client.info("commandstats")
        return int(told.get("cmdstat_exec", {}).get("calls", 0))

    def _scan(self, prefix: str) -> Iterator[bytes]:
        yield from self.client.scan_iter(match=f"{prefix}*", count=1000)
