"""The continuous reader: 1,000 users a second and more, while runs load, die and repeat.

It reads profile and credential in one transaction and compares them with the model: a living
user must always be there, of one version (never a mixture), and never of an older one than seen
before.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import redis

from tests.faults.judge import (
    CREDENTIAL,
    PROFILE,
    Stored,
    Verdict,
    owners_in,
    taken_apart,
)
from tests.faults.model import History, Pair

AT_ONCE = 50
PER_SECOND = 2_000
"""Users that are read a second, as long as Redis answers."""

CATCH_UP_S = 2.0
"""So much of what a busy machine has kept it from is read later."""


@dataclass
class Figures:
    """What a reader saw: ``reads`` are users, ``outages`` are reads that got no answer."""

    reads: int = 0
    seconds: float = 0.0
    outages: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    def __iadd__(self, other: Figures) -> Figures:
        self.reads += other.reads
        self.seconds += other.seconds
        self.outages += other.outages
        self.verdict += other.verdict
        return self


class Reader:
    """Reads in a thread of its own, as long as the block lasts.

    Nothing is read before ``expect`` has said what is right.

    Args:
        url: Redis itself, past any proxy.
    """

    def __init__(self, url: str, history: History, seed: int = 0) -> None:
        self.figures = Figures()
        self._url, self._history, self._random = url, history, random.Random(seed)
        self._versions: tuple[int, ...] = ()
        self._living: list[str] = []
        self._damaged = False
        self._seen: dict[str, tuple[int, int]] = {}
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def expect(self, versions: Collection[int], *, damaged: bool = False) -> None:
        """Says what users may be like from now on.

        Users who live at all of these versions must be found, at one of them.

        Args:
            damaged: bytes are changed on their way to Redis: only misses count.
        """
        living = sorted(self._history.living(versions))
        with self._lock:
            self._versions, self._living, self._damaged = tuple(versions), living, damaged

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Within, nothing is read: the test takes data away itself. What was seen is forgotten."""
        with self._lock:
            before, self._living = self._living, []
        try:
            yield
        finally:
            with self._lock:
                self._living = before
                self._seen.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _read(self) -> None:
        pause = AT_ONCE / PER_SECOND
        due = time.monotonic()
        with redis.Redis.from_url(self._url, socket_timeout=10) as client:
            while not self._end.is_set():
                with self._lock:
                    if self._living:
                        self._some(client)
                due = max(due + pause, time.monotonic() - CATCH_UP_S)
                self._end.wait(max(0.0, due - time.monotonic()))

    def _some(self, client: redis.Redis) -> None:
        users = self._random.choices(self._living, k=AT_ONCE)
        started = time.monotonic()
        try:
            with client.pipeline(transaction=True) as pipe:
                for user in users:
                    pipe.execute_command("JSON.GET", PROFILE + user)
                    pipe.execute_command("JSON.GET", CREDENTIAL + user)
                texts = pipe.execute()
        except redis.RedisError:
            self.figures.outages += 1
            time.sleep(0.02)
            return
        self.figures.reads += len(users)
        for place, user in enumerate(users):
            self._judge(user, *texts[2 * place : 2 * place + 2])
        self.figures.seconds += max(time.monotonic() - started, AT_ONCE / PER_SECOND)

    def _judge(self, user: str, profile: bytes | None, credential: bytes | None) -> None:
        if profile is None or credential is None:
            missing = "profile" if profile is None else "credential"
            self.figures.verdict.add("misses", f"user {user} has no {missing}")
            return
        if self._damaged:
            return
        stored = [taken_apart(profile), taken_apart(credential)]
        pair = Pair(stored[0].body, stored[1].body)
        fits = self._history.fitting(user, pair, self._versions)
        fault = next((part.fault for part in stored if part.fault), "")
        if fault or not fits:
            self._wrong(user, pair, fault)
            return
        self._forward(user, fits, stored)

    def _wrong(self, user: str, pair: Pair, fault: str) -> None:
        if owners_in(*pair) - {user}:
            kind = "mixed_up"
        elif self._history.fitting(user, pair):
            kind = "stale"
        else:
            kind = "torn"
        self.figures.verdict.add(kind, f"user {user} read at none of {self._versions} {fault}")

    def _forward(self, user: str, fits: list[int], stored: list[Stored]) -> None:
        """Neither the version nor the epoch of a user may go back."""
        epoch = max(part.epoch for part in stored)
        version, last = self._seen.get(user, (0, 0))
        if fits[-1] < version or epoch < last:
            text = f"user {user} from version {version}, epoch {last} to {fits[-1]}, {epoch}"
            self.figures.verdict.add("steps_back", text)
        self._seen[user] = (max(version, fits[0]), max(last, epoch))
