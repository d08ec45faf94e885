"""What Prefect takes of a run, beside its start.

The difference between a run with Prefect and one without would drown in the noise of two runs. So
the parts are measured by themselves, rather too high than too low:

- *waiting*: a flow with as many task runs, log lines and progress updates as the run had, whose
  tasks do nothing. All that it takes is Prefect's. In the real run some of this passes while other
  threads work; here all of it counts.
- *the server's work*: CPU seconds of Prefect's server from the begin of the flow run until its
  recorder has written everything, without what the idle server uses in such a time. On a machine
  of its own it would take nothing from the run; here it takes cores, so it counts as seconds
  divided by cores.

The share is the sum of both, divided by the seconds of the flow run. The *start* is what the
command takes beyond the flow run: Python, imports, the registration of the flow run, its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.speed.watching import Moments, cpu_s, used_at
from devstack.folders import PROJECT

_IDLE_S = 3.0
_RECORDED_S = 2.0
"""The dev stack's server writes task runs once a second."""


class Server:
    """The Prefect server, as its flow runs cost it."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid
        before = cpu_s([self.pid])
        time.sleep(_IDLE_S)
        self.idle_cores = (cpu_s([self.pid]) - before) / _IDLE_S

    def last_run(self, moments: Moments) -> dict[str, float]:
        """When the last flow run began (seconds since 1970), its task runs, the CPU seconds.

        Args:
            moments: the server's CPU seconds by and by.
        """
        time.sleep(_RECORDED_S)
        used, now = cpu_s([self.pid]), time.time()
        latest = self._asked("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
        mine = {"flow_runs": {"id": {"any_": [latest["id"]]}}}
        began = datetime.fromisoformat(latest["start_time"]).timestamp()
        used -= used_at(moments, began)
        return {
            "began": began,
            "task_runs": self._asked("task_runs/count", mine),
            "cores": len(os.sched_getaffinity(0)),
            "server_cpu_s": round(used, 3),
            "server_cpu_above_idle_s": round(max(0.0, used - (now - began) * self.idle_cores), 3),
        }

    def _asked(self, path: str, body: dict[str, Any]) -> Any:
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = Request(f"{self.url}/{path}", data=data, headers=kind)
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)


def waiting(environ: Mapping[str, str], task_runs: int) -> float:
    """Seconds that a flow run with so many task runs takes which do nothing.

    Args:
        environ: with the Prefect server's address.

    Raises:
        SystemExit: it failed; with its messages.
    """
    command = [sys.executable, "-m", "benchmarks.speed.empty_flow", str(task_runs)]
    done = subprocess.run(
        command, env=dict(environ), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.splitlines()[-1])
