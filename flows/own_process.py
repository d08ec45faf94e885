"""What a process that holds personal data and passwords may leave behind: nothing for others."""

from __future__ import annotations

import os
import resource

_PRIVATE = 0o077


def leave_nothing() -> None:
    """No core dump of this process from now on, and no file that others may read."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    os.umask(_PRIVATE)
