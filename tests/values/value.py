"""What the corpus is made of: values as a source holds them, and what must come of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("postgres", "mariadb", "sqlite", "mongodb")
SQL = ("postgres", "mariadb", "sqlite")


@dataclass(frozen=True)
class Sql:
    """A value that SQL writes best; ``say`` stands for it in messages."""

    text: str


@dataclass(frozen=True)
class Raw:
    """Bytes that take the place of this value in BSON, which no driver would write."""

    text: bytes


@dataclass(frozen=True)
class Refused:
    """The row ends in quarantine for this reason; ``mongodb`` where it is another there."""

    reason: str
    mongodb: str | None = None

    def of(self, kind: str) -> str:
        """The reason in a kind of source."""
        return self.mongodb if kind == "mongodb" and self.mongodb else self.reason


@dataclass(frozen=True)
class Value:
    """A value and what must stand in the profile: JSON text, or nothing and a reason.

    ``only`` names the kinds of sources that can hold it; empty: all that the group has.
    """

    given: Any
    expected: str | Refused
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Values of one column: its entry in the pipeline file, and its type in each kind of source.

    ``native`` makes a kind's own value of what the values give.
    """

    name: str
    entry: str
    columns: Mapping[str, str]
    values: tuple[Value, ...]
    native: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Value]:
        """The values that a kind of source holds."""
        if kind not in self.columns:
            return []
        return [value for value in self.values if kind in (value.only or KINDS)]


def text(value: str) -> str:
    """JSON text of a string."""
    return json.dumps(value, ensure_ascii=False)


def as_given(*values: Any, only: tuple[str, ...] = ()) -> list[Value]:
    """Values that must arrive as they are: strings, whole numbers, doubles, true and false."""
    return [Value(value, json.dumps(value, ensure_ascii=False), only) for value in values]


def as_text(*values: Any, only: tuple[str, ...] = ()) -> list[Value]:
    """Values that must arrive as strings of what they print."""
    return [Value(value, text(str(value)), only) for value in values]


def to(
    pairs: Mapping[Any, str] | Iterable[tuple[Any, str]], only: tuple[str, ...] = ()
) -> list[Value]:
    """Values and the JSON texts that must come of them; in pairs where a value is no key."""
    found = pairs.items() if isinstance(pairs, Mapping) else pairs
    return [Value(given, expected, only) for given, expected in found]


def refused(
    reason: str, *values: Any, mongodb: str | None = None, only: tuple[str, ...] = ()
) -> list[Value]:
    """Values that must end in quarantine."""
    return [Value(value, Refused(reason, mongodb), only) for value in values]
