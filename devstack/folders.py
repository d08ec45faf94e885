"""Private folders and files: nothing of the dev stack is open to other users."""

import os
import shutil
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
PROJECT = Path(__file__).resolve().parents[1]


def private_folder(path: Path) -> Path:
    """The folder, created (with its missing parents) for this user only."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(FOLDER_MODE, exist_ok=True)
    return path


def write_private(path: Path, text: str, mode: int = FILE_MODE) -> None:
    """Replace a file in one step; nobody ever sees half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below; a missing one is fine."""
    shutil.rmtree(path, ignore_errors=True)
