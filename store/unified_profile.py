"""A stored profile as an app gets it, checked: whose it is, whole, and of a known version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from core.document import Meta, opened, parse_meta
from core.errors import UnfitProfile
from core.index import Path, json_path, parse_path
from core.refusal import Refusal

Fields = dict[str, Any]
Upgrade = Callable[[Fields], Fields]

OWNER, META = "user_id", "_meta"
_OWNER_PATH, _META_PATH = "$.user_id", "$._meta"


@dataclass(frozen=True, repr=False, eq=False)
class UnifiedProfile(Mapping[str, Any]):
    """A mapping of the sections, with what the pipeline says of them.

    ``as_of``: all sources were read at this moment or later; None where nobody knows.
    ``held``: the reason, where a required row was bad or missing, so that the profile is an old
    one. Its text form shows no values.
    """

    user_id: str
    schema_version: int
    epoch: int
    held: str | None
    as_of: datetime | None
    _fields: Fields = field()

    def __getitem__(self, section: str) -> Any:
        return self._fields[section]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"UnifiedProfile(epoch={self.epoch}, sections={list(self._fields)})"

    def at(self, path: str, default: Any = None) -> Any:
        """What stands at a path such as ``identity.address.city``; the default where nothing is."""
        return at(self._fields, path, default)


def at(fields: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """What stands at a path of names with dots between."""
    found: Any = fields
    for step in path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return default
        found = found[step]
    return found


@dataclass(frozen=True, repr=False)
class Draft:
    """A stored profile that has been checked but for its age."""

    user_id: str
    meta: Meta
    fields: Fields

    def dated(self, as_of: datetime | None) -> UnifiedProfile:
        """The finished profile."""
        meta = self.meta
        return UnifiedProfile(
            self.user_id, meta.schema_version, meta.epoch, meta.held, as_of, self.fields
        )


@dataclass(frozen=True)
class Opener:
    """Opens stored documents of the current version and the one before.

    Args:
        upgrade: what makes the fields of the version before look like the current ones.
    """

    schema_version: int
    upgrade: Upgrade | None = None

    def whole(self, text: bytes, user_id: str) -> Draft:
        """A whole document.

        Raises:
            UnfitProfile: it is damaged, another user's, or of an unknown version.
        """
        found = opened(text)
        if found is None or not found.sound:
            raise UnfitProfile(Refusal.DAMAGED)
        fields: Fields = orjson.loads(found.body + b"}")
        self._check(found.meta, fields.pop(OWNER, None), user_id)
        if self.needs_upgrade(found.meta) and self.upgrade is not None:
            fields = self.upgrade(fields)
        return Draft(user_id, found.meta, fields)

    def part(self, text: bytes, paths: Sequence[Path], user_id: str) -> Draft:
        """Some paths of a document, as ``JSON.GET`` answers for ``questions``.

        Raises:
            UnfitProfile: as for ``whole``, but that nobody can tell whether a part is damaged.
        """
        found: dict[str, list[Any]] = orjson.loads(text)
        meta = parse_meta(orjson.dumps(found[_META_PATH][0])) if found[_META_PATH] else None
        if meta is None:
            raise UnfitProfile(Refusal.DAMAGED)
        self._check(meta, found[_OWNER_PATH][0] if found[_OWNER_PATH] else None, user_id)
        fields: Fields = {}
        for path in paths:
            values = found[json_path(path)]
            if values:
                _put(fields, path, values[0])
        return Draft(user_id, meta, fields)

    def needs_upgrade(self, meta: Meta) -> bool:
        """Whether a document is of the version before, and there is a way to renew it."""
        return self.upgrade is not None and meta.schema_version < self.schema_version

    def _check(self, meta: Meta, owner: Any, user_id: str) -> None:
        if owner is None or str(owner) != user_id:
            raise UnfitProfile(Refusal.FOREIGN)
        if not self.schema_version - 1 <= meta.schema_version <= self.schema_version:
            raise UnfitProfile(Refusal.VERSION)


def paths_of(texts: Sequence[str]) -> tuple[Path, ...]:
    """The paths that an app asks for.

    Raises:
        ValueError: for what is no path, or one with ``[*]``: ask for the whole list.
    """
    paths = tuple(map(parse_path, dict.fromkeys(texts)))
    if any(step.each for path in paths for step in path):
        raise ValueError("ask for a whole list, without [*]")
    return paths


def questions(paths: Sequence[Path]) -> list[str]:
    """The paths for ``JSON.GET``, with those that every check needs."""
    return [_OWNER_PATH, _META_PATH, *map(json_path, paths)]


def _put(fields: Fields, path: Path, value: Any) -> None:
    for step in path[:-1]:
        fields = fields.setdefault(step.name, {})
    fields[path[-1].name] = value
