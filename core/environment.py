"""Values from the environment, or from the files that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.errors import ConfigError

IN_A_FILE = "_FILE"
"""``NAME_FILE`` names the file that holds what ``NAME`` would."""


def value_of(environ: Mapping[str, str], name: str) -> str | None:
    """A variable's value, or what the file holds that ``NAME_FILE`` names; None without either.

    One that is empty counts as not set. Line ends at the file's end don't count.

    Raises:
        ConfigError: both are set, or the file can't be read; the message quotes no value.
    """
    value, file = environ.get(name), environ.get(name + IN_A_FILE)
    if not file:
        return value or None
    if value:
        raise ConfigError(f"{name} and {name}{IN_A_FILE} are both set: leave one of them out")
    try:
        found = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{name}{IN_A_FILE}: can't read the file: {reason}") from None
    if not found:
        raise ConfigError(f"{name}{IN_A_FILE}: the file is empty")
    return found
