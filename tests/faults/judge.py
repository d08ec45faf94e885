"""Redis against the model: reads every document with plain redis-py, and judges it.

Nothing of the product is imported; digests are computed here once more, from the description of
the documents' form in docs/. Counts of violations go by class, see ``campaign.CLASSES``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import redis

from tests.faults.model import NOBODY, History, Pair, World

PROFILE, CREDENTIAL = "profile:", "credential:"
CONTROL = "prefetch:faults:"
SCHEMA_VERSION = 1
MAX_EXAMPLES = 12
_OWNER = re.compile(r'"u(\d+)/')
_META = b',"_meta":'
_AT_ONCE = 500


class Stored(NamedTuple):
    """One document as Redis holds it, taken apart.

    ``fault`` says what is wrong with its form: no JSON, no ``_meta``, a digest of something else.
    """

    body: bytes
    epoch: int
    fault: str = ""


def taken_apart(text: bytes) -> Stored:
    """A stored document's text without ``_meta``, its epoch, and what is wrong with its form."""
    body, found, rest = text.rpartition(_META)
    try:
        document = json.loads(text)
        if not found:
            raise KeyError("_meta")
        meta = json.loads(rest[:-1])
        epoch, digest = meta.pop("epoch"), meta.pop("digest")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Stored(text, -1, f"no document of ours ({type(error).__name__})")
    covered = json.dumps(meta, separators=(",", ":")).encode()
    expected = hashlib.sha256(body + _META + covered + b"}").hexdigest()[:32]
    fault = ""
    if digest != expected:
        fault = "its digest is of something else"
    elif meta != {"schema_version": SCHEMA_VERSION}:
        fault = f"_meta says {sorted(meta)}"
    elif not isinstance(document, dict) or type(epoch) is not int:
        fault = "no object, or an epoch that is no number"
    return Stored(body + b"}", epoch if type(epoch) is int else -1, fault)


def owners_in(*texts: bytes | None) -> set[str]:
    """The users whom values of these documents name."""
    return {
        owner for text in texts if text for owner in _OWNER.findall(text.decode(errors="replace"))
    }


class Found(NamedTuple):
    """All documents of one user in Redis: JSON text without ``_meta``."""

    pair: Pair
    epoch: int
    """The higher one of both; -1 where there is none."""
    fault: str
    """What is wrong with their form; or that they would expire."""


NOTHING = Found(NOBODY, -1, "")


@dataclass
class Verdict:
    """Violations by class, and some of them in words."""

    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        """Counts one."""
        self.violations[kind] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{kind}: {text}")

    def __iadd__(self, other: Verdict) -> Verdict:
        self.violations += other.violations
        self.examples = (self.examples + other.examples)[:MAX_EXAMPLES]
        return self

    def __bool__(self) -> bool:
        """Whether there is a violation."""
        return bool(self.violations)


class Judge:
    """Judges one Redis, again and again: it remembers what it saw, so that nothing goes back.

    Args:
        url: Redis itself, past any proxy.
    """

    def __init__(self, url: str, history: History) -> None:
        self._url, self._history = url, history
        self._seen: dict[str, int] = {}

    def forget(self) -> None:
        """Where Redis was emptied by the test itself: what was seen before does not count."""
        self._seen.clear()

    def exact(self, world: World, *, epoch: int | None = None, damaged: bool = False) -> Verdict:
        """After a run that says success: Redis equals this version, and nothing is left over.

        Args:
            epoch: the run's, which no document may exceed; default: the counter.
            damaged: bytes were changed on their way to Redis: a fence may have been named, or left,
                by one of them until the next run.
        """
        verdict, users = Verdict(), self.look()
        counter, left = self._counter(), [] if damaged else self.fences()
        highest = counter if epoch is None else epoch
        for user in sorted(set(users) | set(world.users)):
            found = users.get(user, NOTHING)
            self._form(verdict, user, found, highest)
            if found.pair != world.of(user):
                self.explain(verdict, user, found, [world.version])
            self._seen[user] = max(self._seen.get(user, 0), world.version)
        for key in left:
            verdict.add("left_over", f"after success: {key}")
        return verdict

    def settled(self, versions: Collection[int], *, damaged: bool = False) -> Verdict:
        """After a kill or an error: every user equals one of these versions, and goes never back.

        Args:
            versions: those that runs which were not refused may have written, and the one
                before them.
            damaged: bytes were changed on their way to Redis, so documents may be torn.
        """
        verdict, users = Verdict(), self.look()
        counter = self._counter()
        for user in sorted(set(users) | self._history.everybody(versions)):
            found = users.get(user, NOTHING)
            fits = self._history.fitting(user, found.pair, versions)
            if damaged and (found.fault or not fits):
                continue
            self._form(verdict, user, found, counter)
            if not fits:
                self.explain(verdict, user, found, versions)
                continue
            seen = self._seen.get(user, 0)
            if fits[-1] < seen:
                kind = "resurrected" if self._history.worlds[seen].of(user) == NOBODY else "stale"
                verdict.add(kind, f"user {user} went back from version {seen} to {fits[-1]}")
            self._seen[user] = max(seen, fits[0])
        return verdict

    def look(self) -> dict[str, Found]:
        """Every user with documents in Redis."""
        parts: dict[str, dict[str, tuple[Stored, int]]] = {PROFILE: {}, CREDENTIAL: {}}
        with redis.Redis.from_url(self._url) as client:
            for prefix, mine in parts.items():
                keys = list(client.scan_iter(match=f"{prefix}*", count=1000))
                for start in range(0, len(keys), _AT_ONCE):
                    part = keys[start : start + _AT_ONCE]
                    for key, (text, ttl) in zip(part, _documents(client, part), strict=True):
                        user = key.decode(errors="replace").removeprefix(prefix)
                        if text is not None:
                            mine[user] = (taken_apart(text), ttl)
        profiles, credentials = parts[PROFILE], parts[CREDENTIAL]
        return {
            user: _found(profiles.get(user), credentials.get(user))
            for user in {*profiles, *credentials}
        }

    def fences(self) -> list[str]:
        """The keys of all fences and signs of life."""
        with redis.Redis.from_url(self._url, decode_responses=True) as client:
            kinds = ("fence", "alive")
            patterns = (f"{CONTROL}{kind}:*" for kind in kinds)
            return sorted(key for p in patterns for key in client.scan_iter(match=p, count=1000))

    def _counter(self) -> int:
        """The epoch counter."""
        with redis.Redis.from_url(self._url, decode_responses=True) as client:
            return int(client.get(CONTROL + "epoch") or 0)

    def _form(self, verdict: Verdict, user: str, found: Found, highest: int) -> None:
        if found.fault:
            kind = "lost" if found.fault == _EXPIRES else "torn"
            verdict.add(kind, f"user {user}: {found.fault}")
        elif found.epoch > highest:
            verdict.add("torn", f"user {user} has epoch {found.epoch}, above {highest}")

    def explain(self, verdict: Verdict, user: str, found: Found, versions: Collection[int]) -> None:
        """Counts a user whose documents are none of those that they may be."""
        lives = any(user in self._history.worlds[version].users for version in versions)
        before = self._history.fitting(user, found.pair)
        strangers = owners_in(*found.pair) - {user}
        if lives and None in found.pair:
            kind = "lost"
        elif strangers:
            kind = "mixed_up"
        elif not lives:
            kind = "resurrected"
        elif before:
            kind = "stale"
        else:
            kind = "torn"
        text = f"user {user} fits versions {before}, not {sorted(versions)}"
        verdict.add(kind, text + (f"; names {sorted(strangers)[:3]}" if strangers else ""))


_EXPIRES = "it would expire"


def _documents(client: redis.Redis, keys: list[bytes]) -> Iterable[tuple[bytes | None, int]]:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.execute_command("JSON.GET", key)
            pipe.pttl(key)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    for text, ttl in zip(replies[::2], replies[1::2], strict=True):
        yield (str(text).encode() if isinstance(text, Exception) else text), ttl


def _found(profile: tuple[Stored, int] | None, credential: tuple[Stored, int] | None) -> Found:
    both = [part for part in (profile, credential) if part is not None]
    fault = next((stored.fault for stored, _ in both if stored.fault), "")
    if not fault and any(ttl != -1 for _, ttl in both):
        fault = _EXPIRES
    pair = Pair(
        None if profile is None else profile[0].body,
        None if credential is None else credential[0].body,
    )
    return Found(pair, max(stored.epoch for stored, _ in both), fault)
