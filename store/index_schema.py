"""The search index that a pipeline file declares, as Redis is told it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

from core.index import Index, IndexField, json_path
from core.reading import Reading
from store.resp import Argument


class IndexSchema:
    """The names and the definition of one index.

    Apps use ``alias``. It stands for one of several versions, whose names end with a hash of the
    definition and a number, as in ``idx:retail:5f0c3a91-2``.
    """

    def __init__(self, reading: Reading) -> None:
        assert reading.index is not None
        self.alias = reading.index_name
        self.prefix = reading.index_prefix
        self.definition: list[Argument] = ["ON", "JSON", "PREFIX", 1, self.prefix, "SCHEMA"]
        self.definition += _schema(reading.index)
        text = repr(self.definition).encode()
        self.hash = sha256(text).hexdigest()[:8]
        self._version = re.compile(re.escape(self.alias) + r":(?P<hash>[0-9a-f]{8})-(?P<nr>\d+)")

    def is_version(self, name: str) -> bool:
        """Whether an index is a version of this one, whatever its definition."""
        return self._version.fullmatch(name) is not None

    def is_current(self, name: str) -> bool:
        """Whether an index is a version with this definition."""
        found = self._version.fullmatch(name)
        return found is not None and found["hash"] == self.hash

    def next_version(self, existing: list[str]) -> str:
        """The name of a new version."""
        found = [self._version.fullmatch(name) for name in existing]
        highest = max((int(version["nr"]) for version in found if version), default=0)
        return f"{self.alias}:{self.hash}-{highest + 1}"


def _schema(index: Index) -> Iterator[Argument]:
    for field in index.fields:
        yield from (json_path(field.steps), "AS", field.name, field.type.upper())
        yield from _options(field)


def _options(field: IndexField) -> Iterator[Argument]:
    attrs = field.attrs
    if attrs.withsuffixtrie:
        yield "WITHSUFFIXTRIE"
    if attrs.no_stem:
        yield "NOSTEM"
    if attrs.weight is not None:
        yield from ("WEIGHT", str(attrs.weight))
    if attrs.phonetic_matcher is not None:
        yield from ("PHONETIC", attrs.phonetic_matcher)
    if attrs.separator is not None:
        yield from ("SEPARATOR", attrs.separator)
    if attrs.case_sensitive:
        yield "CASESENSITIVE"
    if attrs.index_empty:
        yield "INDEXEMPTY"
    if attrs.index_missing:
        yield "INDEXMISSING"
    if attrs.sortable:
        yield "SORTABLE"
    if attrs.unf:
        yield "UNF"
    if attrs.no_index:
        yield "NOINDEX"
