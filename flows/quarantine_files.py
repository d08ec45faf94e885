"""The files of all quarantines: where they are, and which one is meant."""

from __future__ import annotations

from datetime import UTC, datetime

from core.errors import ConfigError
from core.pseudonym import pseudonym
from core.settings import Settings
from stage.quarantine_file import Kept, QuarantineFile, QuarantineFolder


def folder_of(settings: Settings) -> QuarantineFolder:
    """Where the files of all runs are; files that have expired are removed first.

    Raises:
        StageError: the folder can't be used.
    """
    path = settings.quarantine_dir or settings.stage_dir / "quarantine"
    folder = QuarantineFolder(path)
    if path.exists():
        with folder.locked():
            folder.purge(datetime.now(UTC))
    return folder


def file_of(folder: QuarantineFolder, profile: str, run: str | None) -> QuarantineFile:
    """The file of a run, or of the last one.

    Args:
        run: the run's name, or how it begins.

    Raises:
        ConfigError: there is none, or several.
    """
    files = folder.files(profile)
    if run is None:
        if not files:
            raise ConfigError(f"no run of {profile} has left anything in {folder.folder}")
        return files[0]
    found = [file for file in files if file.run.startswith(run)]
    if len(found) != 1:
        number = "several runs" if found else "no run"
        raise ConfigError(
            f"{number} whose name begins with {run!r} left anything in {folder.folder}: "
            "`prefetch quarantine list` names them"
        )
    return found[0]


def hashed(key: bytes, row: Kept) -> str | None:
    """The keyed hash that stands for a row; None where nothing tells which it is."""
    return None if row.text is None else pseudonym(key, row.text)
