"""Loads many generated users by the command line, and tells the pipeline's peak memory.

``python -m benchmarks.memory [USERS]`` starts its own PostgreSQL and Redis, makes the users with
``generate_series``, runs ``prefetch run`` and samples the memory (PSS) of its process tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from devstack import PrefectServer, Stack

_MAKE = """
CREATE TABLE customer AS SELECT i AS customer_id, 'Customer ' || i AS name,
    'c' || i || '@example.com' AS email, 'City ' || i %% 500 AS city,
    date '1940-01-01' + (i %% 22000)::int AS born,
    timestamptz '2026-01-01' + i * interval '1 second' AS updated_at
FROM generate_series(1, %(users)s) AS i;
CREATE TABLE account AS SELECT i AS account_id, i / 2 + 1 AS customer_id,
    CASE WHEN i %% 3 = 0 THEN 'savings' ELSE 'current' END AS kind,
    (i %% 1000000)::numeric(12, 2) / 100 AS balance
FROM generate_series(0, 2 * %(users)s - 1) AS i;
CREATE TABLE card AS SELECT i AS card_id, i * 2 AS account_id, 'visa' AS brand
FROM generate_series(0, %(users)s - 1) AS i;
"""


def main() -> None:
    """Prints one JSON object: users, seconds, peak memory in MB, the report's figures."""
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        with (
            Stack.start(here / "stack", ["postgres", "redis"], environ={}) as stack,
            PrefectServer(here / "prefect").start() as server,
        ):
            with psycopg.connect(stack.urls["postgres"], autocommit=True) as connection:
                connection.execute(_MAKE % {"users": users})
            print(json.dumps(_measured(users, stack, server.url, here), indent=2))


def _measured(users: int, stack: Stack, prefect: str, folder: Path) -> dict[str, object]:
    environ = {
        **os.environ,
        "BENCH_CORE_URL": stack.urls["postgres"],
        "REDIS_URL": stack.urls["redis"],
        "PREFECT_API_URL": prefect,
        "PREFETCH_STAGE_DIR": str(folder / "stage"),
    }
    config = str(Path(__file__).with_name("pipeline.yaml"))
    command = [sys.executable, "-m", "flows.command_line", "run", "--config", config, "--json"]
    started, peak = time.monotonic(), 0
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None:
            peak = max(peak, _pss(child.pid))
            time.sleep(0.2)
        out, errors = child.communicate()
    if child.returncode:
        sys.exit(errors)
    report = json.loads(out.splitlines()[-1])
    wanted = ("status", "users", "created", "checked", "bytes_written", "seconds", "steps")
    return {
        "users": users,
        "peak_pss_mb": round(peak / 1024),
        "process_seconds": round(time.monotonic() - started, 1),
        **{name: report[name] for name in wanted},
    }


def _pss(pid: int) -> int:
    """The proportional set size of a process in KiB; 0 once it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
