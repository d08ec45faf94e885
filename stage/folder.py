"""A run's stage: a folder of its own, private, and gone when the run is."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StageError
from stage.partitions import PartitionReader, PartitionWriter, remove

_LOCK = ".lock"


class Stage:
    """The files of one run, by kind and name; each is divided into the same partitions."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions
        self._written: set[Path] = set()

    def writer(self, *name: str) -> PartitionWriter:
        """A new file under this name, as in ``writer("rows", "core.client")``."""
        path = self._path(name)
        self._written.add(path)
        return PartitionWriter(path, self.partitions)

    def reader(self, *name: str) -> PartitionReader:
        """The finished file under this name; one that was never begun reads as empty.

        Raises:
            StageError: it was begun and is not finished, damaged or gone: missing is not empty.
        """
        path = self._path(name)
        return PartitionReader(path) if path in self._written else PartitionReader.empty(path)

    def remove(self, *name: str) -> None:
        """Removes the file under this name, where there is one."""
        path = self._path(name)
        remove(path)
        self._written.discard(path)

    def _path(self, name: tuple[str, ...]) -> Path:
        parts = (part.replace("%", "%25").replace("/", "%2F") for part in name)
        return self.folder / f"{'.'.join(parts)}.arrow"


@contextmanager
def open_stage(root: Path, run: str, partitions: int) -> Iterator[Stage]:
    """A stage of mode 0700 that is removed at the end; stages of dead runs are purged first.

    A stage's owner holds the lock of a file beside it, made before the folder and removed after
    it: a folder whose lock is free or gone is a dead run's, whatever ended it.

    Raises:
        StageError: where the folder can't be made.
    """
    folder = root / f"stage-{run}"
    lock = folder.with_name(folder.name + _LOCK)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        purge_orphans(root)
        owner = _locked(lock)
    except OSError as error:
        raise StageError(f"can't make {folder}: {error.strerror}") from None
    try:
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise StageError(f"can't make {folder}: {error.strerror}") from None
        yield Stage(folder, partitions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(owner)


def purge_orphans(root: Path) -> list[Path]:
    """Removes the stages whose owner is dead; gives their folders."""
    purged = []
    folders = {path.with_name(path.name.removesuffix(_LOCK)) for path in root.glob("stage-*")}
    for folder in sorted(folders):
        lock = folder.with_name(folder.name + _LOCK)
        owner = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
            purged.append(folder)
        finally:
            os.close(owner)
    return purged


def living_stages(root: Path) -> list[Path]:
    """The folders of runs that are under way; those of dead ones are removed first."""
    purge_orphans(root)
    return sorted(path for path in root.glob("stage-*") if path.is_dir())


def _locked(lock: Path) -> int:
    """A descriptor that holds the lock of the file that stands there now."""
    while True:
        owner = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            if lock.stat().st_ino == os.fstat(owner).st_ino:
                return owner
        except FileNotFoundError:
            pass  # a purge took it for a dead run's before we had it
        os.close(owner)
