"""What a run put in quarantine, in a private file of its own: JSON lines, and gone when expired.

The first line tells of the run, and how many rows of each group there were and are kept; each
line after it names one row.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from core.errors import StageError

_SUFFIX = ".jsonl"

What = Literal["row", "held", "unwritten"]
"""A row; a user whose old document stays; a user whose documents could not be written."""


@dataclass(frozen=True)
class Group:
    """All that can't be used for one reason: how many, and of how many the keys are kept."""

    what: What
    dataset: str
    reason: str
    column: str
    rows: int
    kept: int


@dataclass(frozen=True)
class Kept:
    """What tells which row it is: its user, if it led to one, and the columns that name it."""

    group: int
    user_id: str | None
    keys: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        """The user, or else the columns, as one text; None where nothing tells which row it is."""
        if self.user_id is not None:
            return self.user_id
        told = [f"{column}={value}" for column, value in self.keys.items() if value is not None]
        return ",".join(told) or None


@dataclass(frozen=True)
class QuarantineFile:
    """What one run put in quarantine."""

    profile: str
    run: str
    kind: str
    selection: str
    written: datetime
    expires: datetime
    groups: tuple[Group, ...]

    @property
    def rows(self) -> int:
        """How many rows and users are in it, kept or not."""
        return sum(group.rows for group in self.groups)

    @property
    def kept(self) -> int:
        """Of how many of them the keys are kept."""
        return sum(group.kept for group in self.groups)


class QuarantineFolder:
    """The files of all runs; used by one process at a time, under ``locked``.

    Raises:
        StageError: by all methods: the disk is full, or a file is damaged or can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise _failed(self.folder, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def write(self, file: QuarantineFile, rows: Iterable[Kept]) -> None:
        """Writes a file whole, or not at all; mode 0600."""
        path = self._path(file)
        new = path.with_suffix(".new")
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as text:
                text.write(json.dumps(_head(file)) + "\n")
                for row in rows:
                    text.write(json.dumps([row.group, row.user_id, dict(row.keys)]) + "\n")
                text.flush()
                os.fsync(text.fileno())
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise _failed(path, error) from None

    def files(self, profile: str) -> list[QuarantineFile]:
        """A profile's files, the newest first."""
        found = [file for file in map(_read_head, self._paths()) if file.profile == profile]
        return sorted(found, key=lambda file: file.written, reverse=True)

    def rows(self, file: QuarantineFile) -> Iterator[Kept]:
        """The rows of a file."""
        path, number = self._path(file), 0
        try:
            with path.open(encoding="utf-8") as lines:
                next(lines)
                for line in lines:
                    group, user_id, keys = json.loads(line)
                    number += 1
                    yield Kept(group, user_id, keys)
        except OSError as error:
            raise _failed(path, error) from None
        except (ValueError, TypeError):
            raise _damaged(path) from None
        if number != file.kept:
            raise _damaged(path)

    def purge(self, now: datetime) -> int:
        """Removes the files that have expired or are damaged; says how many."""
        for torn in self.folder.glob("*.new"):
            torn.unlink(missing_ok=True)
        useless = [path for path in self._paths() if _is_useless(path, now)]
        for path in useless:
            path.unlink(missing_ok=True)
        return len(useless)

    def without(self, profile: str, user_id: str) -> int:
        """Takes a user's rows out of all files of a profile; says how many."""
        removed = 0
        for file in self.files(profile):
            rows = list(self.rows(file))
            others = [row for row in rows if row.user_id != user_id]
            if len(others) < len(rows):
                self.write(with_kept(file, others), others)
                removed += len(rows) - len(others)
        return removed

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def _path(self, file: QuarantineFile) -> Path:
        return self.folder / f"{file.run}{_SUFFIX}"


def with_kept(file: QuarantineFile, rows: Iterable[Kept]) -> QuarantineFile:
    """The same file with these rows: how many of each group are kept is counted anew."""
    kept = [0] * len(file.groups)
    for row in rows:
        kept[row.group] += 1
    pairs = zip(file.groups, kept, strict=True)
    return replace(file, groups=tuple(replace(group, kept=number) for group, number in pairs))


def _head(file: QuarantineFile) -> dict[str, Any]:
    return {
        **asdict(file),
        "written": file.written.isoformat(),
        "expires": file.expires.isoformat(),
    }


def _read_head(path: Path) -> QuarantineFile:
    try:
        with path.open(encoding="utf-8") as lines:
            head = json.loads(lines.readline())
        return QuarantineFile(
            **{
                **head,
                "written": datetime.fromisoformat(head["written"]),
                "expires": datetime.fromisoformat(head["expires"]),
                "groups": tuple(Group(**group) for group in head["groups"]),
            }
        )
    except OSError as error:
        raise _failed(path, error) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _damaged(path) from None


def _is_useless(path: Path, now: datetime) -> bool:
    try:
        return _read_head(path).expires <= now
    except StageError:
        return True


def _failed(path: Path, error: OSError) -> StageError:
    return StageError(f"{path.name} in {path.parent}: {error.strerror}")


def _damaged(path: Path) -> StageError:
    return StageError(f"{path.name} in {path.parent}: damaged; remove it")
