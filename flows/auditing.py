"""Auditing: who saw, let pass or removed what; kept in Redis, and told as a line for the log."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Any

from core.settings import Settings
from flows.run_context import timeouts_of
from store import audit
from store.client import client_of
from store.keys import Keys

NOT_SAID = "not said"
"""Stands for who did it, where a deployment was not told."""


def record(settings: Settings, keys: Keys, what: str, who: str, **detail: Any) -> str:
    """Keeps a line of the audit, before what it tells of is done; gives it as text.

    Args:
        detail: what else to tell; keyed hashes and counts only.

    Raises:
        TargetError: Redis did not take it: then it must not be done.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = {name: value for name, value in detail.items() if value is not None}
    line = {"when": now, "who": who, "what": what, **told}
    with client_of(settings.redis_url.get_secret_value(), timeouts_of(settings)) as client:
        audit.append(client, keys, line)
    return as_text(line)


def as_text(line: dict[str, Any]) -> str:
    """A line of the audit for people; who and why are quoted, as they are free text."""
    detail = [f"{name}={value!r}" for name, value in line.items() if name not in ("when", "what")]
    return f"audit: {line['when']} {line['what']}: {' '.join(detail)}"


def this_user() -> str:
    """The user of this shell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
