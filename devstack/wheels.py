"""Where the server programs are that came as Python wheels."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from devstack.errors import NotInstalledError


def wheel_file(package: str, inside: str, instead: str) -> Path:
    """The path of a file that a wheel has installed, without importing the package.

    Args:
        package: the distribution's name.
        inside: the path below site-packages.
        instead: the environment variable that replaces the server, for the message.

    Raises:
        NotInstalledError: the wheel or the file is missing.
    """
    way_out = f"run 'pip install {package}', or set {instead} to a server of your own"
    try:
        path = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        raise NotInstalledError(f"the wheel {package} is not installed: {way_out}") from None
    if not path.exists():
        raise NotInstalledError(f"the wheel {package} has no {inside} on this machine: {way_out}")
    return path.resolve()
