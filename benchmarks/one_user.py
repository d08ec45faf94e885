"""Backfills single users of a demo bank by the command line; tells times and query plans.

``python -m benchmarks.one_user [USERS]`` starts its own servers, makes a bank of 50,000 users,
loads all of them, then changes a few one by one and backfills each. It prints the seconds of each
step, and how the sources reached every table that the last backfill asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.query_plans import Access, watched
from devstack import DATABASES, PrefectServer, Stack
from devstack.bank import Book, Servers, load, servers_of

CONFIG = "examples/demo_bank/pipeline.yaml"
BACKFILLS = 5
BIG = 1_000
STEPS = ("preflight", "extract", "link", "guard", "load", "check", "sweep")

# Users who have something in every product line: the dearest ones.
_BUYERS = """
SELECT customer_id FROM card_holder JOIN purchase USING (holder_ref)
GROUP BY customer_id ORDER BY count(*) DESC, customer_id LIMIT 1000
"""
_SHARERS = """
SELECT DISTINCT a.customer_id FROM account_holder a
JOIN account_holder b USING (account_no) JOIN login l ON l.customer_id = a.customer_id
JOIN customer c ON c.customer_id = a.customer_id
WHERE a.customer_id <> b.customer_id AND a.customer_id = ANY(%s) AND c.email IS NOT NULL
ORDER BY 1 LIMIT %s
"""
_CHANGE = "UPDATE customer SET city = %s, updated_at = now() WHERE customer_id = %s"


def main() -> None:
    """Prints a table of times, and one of plans."""
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        with (
            Stack.start(here / "stack", DATABASES, environ={}) as stack,
            PrefectServer(here / "prefect").start() as server,
        ):
            servers = servers_of(stack.environ(), here, prefix="one_user")
            load(servers, Book(users=users, seed=7, prefix="one_user"), here)
            environ = {
                **os.environ,
                **servers.lines,
                "REDIS_URL": stack.urls["redis"],
                "PREFECT_API_URL": server.url,
                "PREFETCH_STAGE_DIR": str(here / "stage"),
            }
            everyone = _prefetch(environ, "run")
            print(f"{everyone['users']:,} profiles; one changed user a row, seconds:")
            print("  ".join(f"{name:>9}" for name in ("all", *STEPS)))
            chosen = _chosen(servers)
            for number, user in enumerate(chosen):
                if number == len(chosen) - 1:
                    with watched(servers, stack.servers["postgres"].log) as found:
                        _backfilled(environ, servers, user)
                else:
                    print(_line(_backfilled(environ, servers, user)))
            print("\nsource     table               rows  whole  reached by")
            print("\n".join(map(str, dict.fromkeys(found))))
            _tell_whole(found)


def _chosen(servers: Servers) -> list[int]:
    with psycopg.connect(_libpq(servers.urls["cards"])) as cards:
        buyers = [row[0] for row in cards.execute(_BUYERS)]
    with psycopg.connect(_libpq(servers.urls["core"])) as core:
        return [row[0] for row in core.execute(_SHARERS, (buyers, BACKFILLS + 1))]


def _backfilled(environ: Mapping[str, str], servers: Servers, user: int) -> dict[str, Any]:
    """The report of a backfill after a change; the change must be in Redis then."""
    city = f"Moved to {user}"
    with psycopg.connect(_libpq(servers.urls["core"])) as core:
        core.execute(_CHANGE, (city, user))
    report = _prefetch(environ, "backfill", "--user", str(user))
    with redis.Redis.from_url(environ["REDIS_URL"]) as client:
        found = client.execute_command(
            "JSON.GET", f"profile:{user}", "$.identity.address.city", "$._meta.epoch"
        )
    told = json.loads(found)
    assert told == {"$.identity.address.city": [city], "$._meta.epoch": [report["epoch"]]}
    assert report["updated"] == 1
    return report


def _line(report: dict[str, Any]) -> str:
    seconds = (report["seconds"], *(report["steps"][step] for step in STEPS))
    return "  ".join(f"{each:9.3f}" for each in seconds)


def _tell_whole(found: list[Access]) -> None:
    whole = sorted({f"{a.source}.{a.table}" for a in found if a.whole and a.rows > BIG})
    print(f"\ntables of more than {BIG:,} rows read whole: {', '.join(whole) or 'none'}")


def _prefetch(environ: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "flows.command_line", *arguments, "--config", CONFIG, "--json"]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _libpq(url: str) -> str:
    return url.replace("+psycopg", "")


if __name__ == "__main__":
    main()
