"""``python -m tests.faults.planted``: plants every bug, and tells which check has caught it."""

from __future__ import annotations

import sys

from tests.faults.campaign import ground
from tests.faults.planted.catching import all_caught, line


def main() -> int:
    """The exit code: 1 where a bug is not caught, or something is found without one."""
    wrong = 0
    sys.stdout.write(f"{'bug':40} {'check':52} caught\n")
    with ground() as here:
        for caught in all_caught(here, sys.argv[1:] or None):
            wrong += not caught.right
            sys.stdout.write(line(caught) + "\n")
            if caught.bug is not None:
                told = caught.found[0][:150] if caught.found else "nothing"
                sys.stdout.write(f"    {caught.bug.reason}: {told}\n")
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
