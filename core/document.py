"""The form of a stored document: a body, and behind it ``_meta`` with epoch and digest.

A *body* is a document's JSON text without its last brace and without ``_meta``, as in
``{"user_id":7,"name":"x"``. The digest covers the body and all of ``_meta`` but ``epoch`` and
``digest``. Bodies are written in orjson's form: RedisJSON gives back the same text but for some
numbers (``1e+16`` comes back as ``1e16``), so a text that does not match is parsed and written
again before it counts as damaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

DIGEST_LENGTH = 32
"""Hexadecimal digits: 128 bits of SHA-256. A user can choose parts of his document, so a hash
without collision resistance would let a crafted change pass as none."""

_META = b',"_meta":'


Stale = tuple[tuple[str, str], ...]
"""Sources whose sections were carried forward, each with the time (RFC 3339) of these values."""


class Meta(NamedTuple):
    """What ``_meta`` of a stored document says."""

    schema_version: int
    epoch: int
    digest: str
    held: str | None = None
    stale: Stale = ()


@lru_cache(maxsize=256)
def _covered(schema_version: int, held: str | None, stale: Stale) -> bytes:
    covered: dict[str, Any] = {"schema_version": schema_version}
    if held is not None:
        covered["held"] = held
    if stale:
        covered["stale"] = dict(stale)
    return _META + orjson.dumps(covered) + b"}"


def digest(body: bytes, schema_version: int, held: str | None = None, stale: Stale = ()) -> str:
    """The digest of a document with this body."""
    return sha256(body + _covered(schema_version, held, stale)).hexdigest()[:DIGEST_LENGTH]


def digests(bodies: Iterable[bytes], schema_version: int, stale: Stale = ()) -> list[str]:
    """The digests of documents with these bodies."""
    covered = _covered(schema_version, None, stale)
    return [sha256(body + covered).hexdigest()[:DIGEST_LENGTH] for body in bodies]


def meta_text(meta: Meta) -> bytes:
    """``_meta`` as JSON text."""
    fields: dict[str, Any] = {
        "schema_version": meta.schema_version,
        "epoch": meta.epoch,
        "digest": meta.digest,
    }
    if meta.held is not None:
        fields["held"] = meta.held
    if meta.stale:
        fields["stale"] = dict(meta.stale)
    return orjson.dumps(fields)


def sealed(body: bytes, meta: Meta) -> bytes:
    """The whole document."""
    return b"".join((body, _META, meta_text(meta), b"}"))


def parse_meta(text: bytes) -> Meta | None:
    """What a ``_meta`` (as JSON text) says; None where it is not of our making."""
    try:
        fields = orjson.loads(text)
        return Meta(
            int(fields["schema_version"]),
            int(fields["epoch"]),
            str(fields["digest"]),
            fields.get("held"),
            tuple(fields.get("stale", {}).items()),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _digest_of(body: bytes, meta: Meta) -> str:
    return digest(body, meta.schema_version, meta.held, meta.stale)


class Opened(NamedTuple):
    """A stored document, taken apart; ``sound`` tells whether body and digest agree."""

    body: bytes
    meta: Meta
    sound: bool


def opened(document: bytes) -> Opened | None:
    """A stored document taken apart; None where it is not of our making."""
    split = document.rfind(_META)
    if split > 0 and (meta := parse_meta(document[split + len(_META) : -1])):
        body = document[:split]
        if _digest_of(body, meta) == meta.digest:
            return Opened(body, meta, True)
    try:
        fields = orjson.loads(document)
        found = parse_meta(orjson.dumps(fields.pop("_meta")))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    if found is None:
        return None
    body = orjson.dumps(fields)[:-1]
    return Opened(body, found, _digest_of(body, found) == found.digest)
