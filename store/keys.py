"""The names of all keys, and the bucket that a user belongs to."""

from __future__ import annotations

import re
from binascii import crc_hqx
from urllib.parse import quote, unquote

from core.pipeline import Profile

SLOTS = 16384
"""Hash slots of a Redis Cluster."""

_CONTROL = b"prefetch:"
_PLACE = "{user_id}"
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)


def slot(key: bytes) -> int:
    """The hash slot of a key: CRC16/XMODEM modulo 16384, of the hash tag where there is one.

    From https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/.
    """
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def encoded(user_id: str) -> str:
    """The user id as it stands in keys: percent-encoded but for RFC 3986's unreserved characters.

    Raises:
        ValueError: for an id that has no UTF-8 form.
    """
    if _PLAIN.fullmatch(user_id):
        return user_id
    try:
        return quote(user_id, safe="")
    except UnicodeEncodeError:
        raise ValueError("a user id has no UTF-8 form (a lone surrogate)") from None


class Keys:
    """The keys of one profile's documents, and of what controls their writing.

    Control keys start with ``prefetch:`` and the profile's name: outside the documents' and the
    search index's prefixes.
    """

    def __init__(self, profile: Profile) -> None:
        self.name = profile.name
        self.buckets = profile.buckets
        self._profile = _halves(profile.key)
        self._credential = _halves(profile.credential_key)
        self.epoch = self._control("epoch")
        self.opening = self._control("opening")
        self.bucket_count = self._control("buckets")
        self.runs = runs_key(profile.name)
        self.watermarks = self._control("watermarks")
        self.pseudonyms = self._control("pseudonyms")
        self.suppressed = self._control("suppressed")
        self.audit = self._control("audit")
        self.views = self._control("views")
        self.indexing = self._control("indexing")

    def profile(self, user_id: str) -> bytes:
        """The key of a user's profile."""
        before, behind = self._profile
        return f"{before}{encoded(user_id)}{behind}".encode()

    def credential(self, user_id: str) -> bytes:
        """The key of the document with a user's secret fields."""
        before, behind = self._credential
        return f"{before}{encoded(user_id)}{behind}".encode()

    def both(self, user_ids: list[str]) -> tuple[list[bytes], list[bytes]]:
        """The keys of some users' profiles, and of their credentials."""
        names = user_ids
        if not _PLAIN.fullmatch("".join(user_ids)):
            names = [encoded(user_id) for user_id in user_ids]
        before, behind = self._profile
        first, last = self._credential
        return (
            [f"{before}{name}{behind}".encode() for name in names],
            [f"{first}{name}{last}".encode() for name in names],
        )

    def user_id_of(self, profile_key: bytes) -> str | None:
        """The user whose profile has this key; None where no user id encodes to it."""
        return _user_in(profile_key, self._profile)

    def owner_of(self, key: bytes) -> str | None:
        """The user whose profile or credential has this key; None where it is nobody's."""
        if key.startswith(_CONTROL):
            return None
        user_id = _user_in(key, self._profile)
        return _user_in(key, self._credential) if user_id is None else user_id

    def is_stray(self, key: bytes) -> bool:
        """Whether a key has the form of a document's, but no user id encodes to it."""
        if key.startswith(_CONTROL) or self.owner_of(key) is not None:
            return False
        return any(
            key.startswith(before.encode()) and key.endswith(behind.encode())
            for before, behind in (self._profile, self._credential)
        )

    @property
    def profile_pattern(self) -> str:
        """A pattern for SCAN that all keys of profiles match."""
        return "*".join(re.sub(r"([\[\]*?\\^])", r"\\\1", half) for half in self._profile)

    def bucket_of(self, user_id: str) -> int:
        """The bucket of a user: a range of the hash slots of the profile's key."""
        return slot(self.profile(user_id)) * self.buckets // SLOTS

    def fence(self, bucket: int) -> bytes:
        """Who may write the bucket: ``epoch:attempt``, without a TTL."""
        return self._control(f"fence:{bucket}")

    def alive(self, bucket: int) -> bytes:
        """The fence's value once more, with a TTL: whether its holder still works."""
        return self._control(f"alive:{bucket}")

    def floor(self, bucket: int) -> bytes:
        """The epoch of the last complete pass over the bucket."""
        return self._control(f"floor:{bucket}")

    def removed(self, bucket: int) -> bytes:
        """A hash: user id → the epoch that removed the user, until the floor has passed it."""
        return self._control(f"removed:{bucket}")

    def canary(self, token: str) -> bytes:
        """A document for trying what this Redis can do."""
        return self._control(f"canary:{token}")

    def _control(self, rest: str) -> bytes:
        return _CONTROL + f"{self.name}:{rest}".encode()


def runs_key(profile: str) -> bytes:
    """A list: the reports of the last runs; known by the profile's name alone."""
    return f"prefetch:{profile}:runs".encode()


def _user_in(key: bytes, halves: tuple[str, str]) -> str | None:
    """The user id that a key made of these halves holds; None where none encodes to it."""
    before, behind = halves
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    if not (text.startswith(before) and text.endswith(behind)):
        return None
    name = text[len(before) : len(text) - len(behind)]
    if _PLAIN.fullmatch(name):
        return name
    user_id = unquote(name, errors="surrogateescape")
    try:
        return user_id if user_id and encoded(user_id) == name else None
    except ValueError:
        return None


def _halves(template: str) -> tuple[str, str]:
    before, place, behind = template.partition(_PLACE)
    if not place:
        raise ValueError(f"the key {template!r} lacks {_PLACE}")
    return before, behind
