"""What can go wrong with the embedded servers, each with a way out in its message.

DevstackError            anything here
├── NotInstalledError    a program or wheel is missing
└── ServerStartError     a server ended or stayed silent; carries the log's tail
"""

from pathlib import Path

TAIL_BYTES = 6000
TAIL_LINES = 25


class DevstackError(Exception):
    """The embedded servers can't do what was asked; the message says what to do."""


class NotInstalledError(DevstackError):
    """A server's program is not on this machine."""


class ServerStartError(DevstackError):
    """A server didn't become ready.

    Args:
        reason: what happened, in one line.
        log: the server's log file; its tail becomes part of the message.
    """

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(reason, log)
        self.reason = reason
        self.log = log
        # Read now: by the time somebody prints the error, the folder may be gone.
        self.tail = log_tail(log)

    def __str__(self) -> str:
        return f"{self.reason}\n--- end of {self.log} ---\n{self.tail or '(the log is empty)'}"


def log_tail(log: Path) -> str:
    """The last lines of a log file, or an empty string where there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])
