"""The peers' virtual environments, made once below ``.devstack/peers``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from devstack.folders import PROJECT, private_folder, write_private

HOME = PROJECT / ".devstack" / "peers"
REQUIREMENTS = {
    "feast": ("feast[redis]==0.67.0", "dask==2026.8.0", "pandas==2.3.3", "pyarrow==26.0.1"),
    "dlt": (
        "dlt[sql-database]==1.31.0",
        "hiredis==3.5.0",
        "psycopg[binary]==3.3.9",
        "pyarrow==26.0.1",
        "redis==8.1.0",
        "sqlalchemy==2.1.9",
    ),
}
_OPTIONS = ("--disable-pip-version-check", "--no-cache-dir", "--quiet", "--progress-bar", "off")
_TAIL_LINES = 15


def python_of(peer: str) -> Path:
    """The peer's Python; its environment is made where it is missing or has other versions.

    Raises:
        SystemExit: it can't be installed.
    """
    folder = private_folder(HOME / peer)
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join((*REQUIREMENTS[peer], ""))
    if not (python.exists() and mark.exists() and mark.read_text(encoding="utf-8") == wanted):
        mark.unlink(missing_ok=True)
        _carry_out(peer, [sys.executable, "-m", "venv", "--clear", str(folder)])
        install = [str(python), "-m", "pip", "install", *_OPTIONS, *REQUIREMENTS[peer]]
        _carry_out(peer, install)
        write_private(mark, wanted)
    return python


def _carry_out(peer: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        sys.exit(
            f"{tail}\n{peer} could not be installed, pip says why above: go online once, set "
            f"PIP_INDEX_URL to a registry of your own, or leave it out by --without {peer}"
        )
