"""Free TCP ports on 127.0.0.1, reserved so that two stacks never pick the same."""

import random
import socket
from contextlib import suppress
from pathlib import Path

from devstack.errors import DevstackError

HOST = "127.0.0.1"
LOWEST = 15000
HIGHEST = 32767
TRIES = 200
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortLease:
    """A port that no other lease on this machine holds, until `release`.

    The reservation is an abstract unix socket: the kernel drops it with the process, so a
    kill -9 leaves nothing behind, and no file is needed that all users could write.
    """

    def __init__(self, port: int = 0) -> None:
        """Take a port.

        Args:
            port: this one, or 0 for any free one.

        Raises:
            DevstackError: the port is leased or in use, or none is free.
        """
        highest = _highest()
        candidates = [port] if port else random.sample(range(LOWEST, highest), TRIES)
        for candidate in candidates:
            mark = _reserve(candidate)
            if mark is None:
                continue
            if is_free(candidate):
                self.port = candidate
                self._mark = mark
                return
            mark.close()
        what = f"port {port} on {HOST} is in use" if port else f"no free port on {HOST}"
        raise DevstackError(f"{what}: choose another, or stop what listens there")

    def release(self) -> None:
        """Let others have the port."""
        self._mark.close()


def is_free(port: int) -> bool:
    """True where nobody listens on the port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # The servers set it too: connections in TIME_WAIT must not count as use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def _reserve(port: int) -> socket.socket | None:
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0profile-prefetch-devstack-port-{port}")
    except OSError:
        mark.close()
        return None
    return mark


def _highest() -> int:
    # Ports that the kernel gives to outgoing connections would be taken now and then.
    with suppress(OSError, ValueError):
        first_ephemeral = int(EPHEMERAL.read_text().split()[0])
        if first_ephemeral > LOWEST + TRIES:
            return min(HIGHEST, first_ephemeral)
    return HIGHEST
