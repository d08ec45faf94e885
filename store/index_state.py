"""What is known of the search index in use: its version, and who can't be found by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import redis

from core.errors import IndexMissing
from store.driver_errors import driver_errors
from store.index_errors import search_command
from store.index_schema import IndexSchema

_KEYS_AT_ONCE = 1000
_JSON_TYPE = "ReJSON-RL"
_TYPE_FAILURE = re.compile(r"Invalid JSON type: \w+ type can represent only [A-Za-z, ]+")


@dataclass(frozen=True)
class IndexState:
    """What is known of the index in use.

    ``current``: it has the definition of the pipeline file. ``failures``: how often a document
    could not be indexed since the index was made; ``failed_fields`` the same by field, as far as
    RediSearch tells; ``last_failure``: what was wrong with the last one's type, if anything.
    """

    name: str
    version: str
    current: bool
    documents: int
    profiles: int
    failures: int
    failed_fields: dict[str, int]
    last_failure: str | None
    building: bool

    @property
    def missing(self) -> int:
        """Profiles that can't be found."""
        return max(0, self.profiles - self.documents)


def problem(client: redis.Redis, schema: IndexSchema) -> str | None:
    """What a person should know of the index before a run; None where all is well.

    Raises:
        TargetError: Redis can't be asked, or has no search.
    """
    version = in_use(client, schema)
    if version is None:
        return (
            f"the search index {schema.alias} is missing, so nobody can log in by it: a nightly "
            "run makes it; `prefetch index create` makes it now"
        )
    if not schema.is_current(version):
        return (
            f"the search index {schema.alias} is not as the pipeline file says: a nightly run "
            "makes it anew; `prefetch index rebuild` does so now"
        )
    return None


def state_of(client: redis.Redis, schema: IndexSchema, name: str | None = None) -> IndexState:
    """What is known of the index in use, or of one version.

    Raises:
        IndexMissing: there is none.
        TargetError: Redis can't be asked.
    """
    # Counted first: what is written meanwhile does not look as if it were missing.
    profiles = profiles_in(client, schema.prefix)
    told = info(client, name or schema.alias)
    version = text_of(told["index_name"])
    failed = {}
    for each in told.get("field statistics", []):
        entry = _pairs(each)
        failures = int(_pairs(entry["Index Errors"])["indexing failures"])
        if failures:
            failed[text_of(entry["attribute"])] = failures
    return IndexState(
        schema.alias,
        version,
        schema.is_current(version),
        int(told["num_docs"]),
        profiles,
        int(told["hash_indexing_failures"]),
        failed,
        _harmless(_pairs(told.get("Index Errors", [])).get("last indexing error")),
        bool(int(told["indexing"])),
    )


def profiles_in(client: redis.Redis, prefix: str) -> int:
    """How many JSON documents have keys with a prefix.

    Raises:
        TargetError: Redis does not answer.
    """
    number, cursor = 0, 0
    pattern = "".join(f"\\{sign}" if sign in "[]*?\\^-" else sign for sign in prefix) + "*"
    while True:
        with driver_errors("SCAN"):
            cursor, found = client.scan(
                cursor, match=pattern, count=_KEYS_AT_ONCE, _type=_JSON_TYPE
            )
        number += len(found)
        if cursor == 0:
            return number


def info(client: redis.Redis, name: str) -> dict[str, Any]:
    """What RediSearch tells of an index.

    Raises:
        IndexMissing: there is none.
        TargetError: Redis can't be asked.
    """
    return _pairs(search_command(client, "FT.INFO", name))


def in_use(client: redis.Redis, schema: IndexSchema) -> str | None:
    """The name of the index that the alias stands for; None where there is none.

    Raises:
        TargetError: Redis can't be asked.
    """
    try:
        return text_of(info(client, schema.alias)["index_name"])
    except IndexMissing:
        return None


def _harmless(text: Any) -> str | None:
    """RediSearch's text on a failure, where it is sure to hold no value."""
    return found[0] if (found := _TYPE_FAILURE.fullmatch(text_of(text))) else None


def _pairs(flat: Any) -> dict[str, Any]:
    return {text_of(key): value for key, value in zip(flat[::2], flat[1::2], strict=True)}


def text_of(value: Any) -> str:
    """A name in a reply."""
    return value.decode() if isinstance(value, bytes) else str(value)
