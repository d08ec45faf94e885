"""A run's stage: a folder of its own, private, and gone when the run is."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StageError
from stage.partitions import PartitionReader, PartitionWriter

_OWNER = "owner"


class Stage:
    """The files of one run, by kind and name; each is divided into the same partitions."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions

    def writer(self, *name: str) -> PartitionWriter:
        """A new file under this name, as in ``writer("rows", "core.client")``."""
        return PartitionWriter(self._path(name), self.partitions)

    def reader(self, *name: str) -> PartitionReader:
        """The finished file under this name; one that was never written reads as empty."""
        return PartitionReader(self._path(name))

    def remove(self, *name: str) -> None:
        """Removes the file under this name, where there is one."""
        PartitionReader(self._path(name)).remove()

    def _path(self, name: tuple[str, ...]) -> Path:
        return self.folder / f"{'.'.join(part.replace('/', '%2F') for part in name)}.arrow"


@contextmanager
def open_stage(root: Path, run: str, partitions: int) -> Iterator[Stage]:
    """A stage of mode 0700 that is removed at the end; stages of dead runs are purged first.

    A stage's owner holds a lock on a file in it for as long as it lives, whatever ends it.

    Raises:
        StageError: where the folder can't be made.
    """
    folder = root / f"stage-{run}"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        purge_orphans(root)
        folder.mkdir(mode=0o700)
        owner = os.open(folder / _OWNER, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StageError(f"can't make {folder}: {error.strerror}") from None
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        yield Stage(folder, partitions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def purge_orphans(root: Path) -> list[Path]:
    """Removes the stages whose owner is dead; gives their folders."""
    purged = []
    for folder in sorted(root.glob("stage-*")):
        try:
            owner = os.open(folder / _OWNER, os.O_RDWR)
        except FileNotFoundError:
            continue  # its owner is just making or removing it
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
            purged.append(folder)
        finally:
            os.close(owner)
    return purged
