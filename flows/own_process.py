"""What this process leaves behind, and what it holds on to: no more than it must."""

from __future__ import annotations

import ctypes
import os
import resource

_PRIVATE = 0o077


def leave_nothing() -> None:
    """No core dump of this process from now on, and no file that others may read."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    os.umask(_PRIVATE)


def give_back() -> None:
    """Memory that was freed goes back to the system, where the C library can do that (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
