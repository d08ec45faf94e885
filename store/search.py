"""Searches profiles, for people; the apps' reader has its own, exact way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from core.errors import ConfigError
from core.reading import Reading
from store.index_errors import search_command

TIMEOUT_MS = 10_000

_NAMES = re.compile(r"(?<!\\)@([\w|]+)\s*:")


@dataclass(frozen=True)
class Hits:
    """How many profiles fit a query, and the first of them as they are stored."""

    total: int
    documents: list[dict[str, Any]] = field(repr=False)


def search(client: redis.Redis, reading: Reading, query: str, limit: int) -> Hits:
    """The profiles that fit a query, in RediSearch's language (dialect 2).

    Raises:
        ConfigError: the query has a mistake, or names a field that is not indexed.
        IndexMissing: there is no index.
        TargetError: Redis can't be asked.
    """
    index = reading.index
    if index is None:
        raise ConfigError("the pipeline file declares no `index`")
    known = {each.name for each in index.fields}
    for names in _NAMES.findall(query):
        for name in names.split("|"):
            if name not in known:
                # RediSearch finds nothing then, and says no word.
                raise ConfigError(
                    f"the index has no field {name!r}; known are {', '.join(sorted(known))}"
                )
    options = ("LIMIT", 0, limit, "DIALECT", 2, "TIMEOUT", TIMEOUT_MS)
    total, *found = search_command(client, "FT.SEARCH", reading.index_name, query, *options)
    # A document that was deleted just now has no fields.
    texts = [fields[fields.index(b"$") + 1] for fields in found[1::2] if fields]
    return Hits(int(total), [orjson.loads(text) for text in texts])
