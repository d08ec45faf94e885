"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: what others have freed would blur the figures.
PROGRAM = """
from flows.own_process import give_back

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

kept = [bytes(2000) for _ in range(100_000)]
last = kept[-1]
del kept
held = resident_mb()
give_back()
print(held - resident_mb())
"""


def test_what_was_freed_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    assert float(told.stdout) > 100
