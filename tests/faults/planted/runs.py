"""The checks that planted bugs must not pass: whole runs, judged by the model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import redis

from tests.faults.campaign import Ground, Outcome
from tests.faults.campaigns.overlapping import PAUSING
from tests.faults.nemesis import Nemesis, standing
from tests.faults.scene import Scene
from tests.forked import MAIN

Check = Callable[[Ground, str | None], list[str]]
"""What is found, where a bug is planted (its name) or none."""

USERS = 40
ODD = 2**53
"""Beyond this, a float is no longer every integer."""

ODD_PIPELINE = """\
profile: {name: odd, anchor: core.client, user_id: {type: string}, buckets: 4}
sources: {core: {kind: sql, url: "${ODD_URL}"}}
datasets:
  core.client:
    {user_id: client_id, into: identity, primary_key: client_id, timezone: Europe/Prague,
     columns: {client_id: string, name: string, seen: timestamp}, fields: [name, seen]}
  core.tag:
    {user_id: client_id, into: "tags[]", primary_key: tag_id, order_by: tag_id,
     columns: {client_id: string, tag_id: integer, tag: string}, fields: [tag_id, tag]}
guard: {max_removed: 1000000, max_changed_share: 1, max_quarantined_share: 1}
"""
ODD_ROWS = """\
CREATE TABLE client (client_id integer, name text, seen text);
CREATE TABLE tag (client_id integer, tag_id integer, tag text);
"""


def program(bug: str | None, then: str = MAIN) -> str:
    """What a ``prefetch`` process does, with a bug planted before."""
    if bug is None:
        return then
    return f"from tests.faults.planted.bugs import plant\nplant({bug!r})\n{then}"


def a_bank(ground: Ground, bug: str | None) -> list[str]:
    """A first run, and one after the bank has moved on."""
    outcome = Outcome()
    with Scene(ground, 4711, USERS, buckets=4, reading=False) as scene:
        scene.judge_success(outcome, scene.run(program=program(bug)), "first run")
        if not outcome.violations:
            scene.move()
            scene.judge_success(outcome, scene.run(program=program(bug)), "second run")
    return outcome.examples


def a_source_without_rows(ground: Ground, bug: str | None) -> list[str]:
    """The anchor's table is empty all of a sudden: the run must stop, and nobody goes."""
    with Scene(ground, 4711, USERS, buckets=4, reading=False) as scene:
        first, world = scene.run(), scene.world
        assert first.success, first
        scene.sources.put({**scene.universe.tables(), "client": []})
        ended = scene.run(program=program(bug))
        found = [f"{world.version}: {text}" for text in scene.judge.exact(world).examples]
        return (["a run without users says success"] if ended.success else []) + found


def an_older_run_loads_last_but_one(ground: Ground, bug: str | None) -> list[str]:
    """A newer run has looked whom to remove; then an older one loads; then the newer one."""
    with Scene(ground, 4711, USERS, buckets=2, reading=False) as scene:
        older = scene.start(program=program(bug, PAUSING))
        assert standing(older)
        leaving(scene)
        newer = scene.start(program=program(bug, PAUSING))
        assert standing(newer)
        for process in (older, newer):
            Nemesis.wake(process)
            ended = scene.ended(process)
            assert ended.success, ended
        return scene.judge.exact(scene.world).examples


def an_older_run_loads_after_a_backfill(ground: Ground, bug: str | None) -> list[str]:
    """A backfill finds neither rows nor documents of a user whom an older run still has."""
    with Scene(ground, 4711, USERS, buckets=2, reading=False) as scene:
        older = scene.start(program=program(bug, PAUSING))
        assert standing(older)
        user = leaving(scene)
        backfill = scene.run("backfill", "--user", user, program=program(bug))
        assert (backfill.success, backfill.report["removed"]) == (True, 0), backfill
        Nemesis.wake(older)
        ended = scene.ended(older)
        assert ended.success, ended
        found = scene.judge.look()
        assert len(found) >= USERS - 1, len(found)
        return [f"user {user} is back"] if user in found else []


def leaving(scene: Scene) -> str:
    """The bank moves on, and somebody leaves whom Redis does not hold yet."""
    moved = scene.move(changed=0.2, joining=0.0, leaving=0.05)
    return str(min(moved.left))


def odd_values(ground: Ground, bug: str | None) -> list[str]:
    """Ids beyond what a float holds, times without a zone, rows that stand twice."""
    folder = ground.new_folder("odd")
    file, config = folder / "odd.sqlite", folder / "odd.yaml"
    config.write_text(ODD_PIPELINE, encoding="utf-8")
    users = range(ODD, ODD + 4)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(ODD_ROWS)
        clients = [(user, f"u{user}", "2026-07-01 12:00:00") for user in users]
        connection.executemany("INSERT INTO client VALUES (?, ?, ?)", clients)
        tags = [(user, tag, f"u{user}/{tag}") for user in users for tag in (1, 2)]
        tags += [(user, 2, f"u{user}/2 again") for user in users]
        connection.executemany("INSERT INTO tag VALUES (?, ?, ?)", tags)
    wanted = {
        str(user): {
            "user_id": str(user),
            "identity": {"name": f"u{user}", "seen": "2026-07-01T10:00:00Z"},
            "tags": [{"tag_id": 1, "tag": f"u{user}/1"}],
        }
        for user in users
    }
    with ground.redis() as server:
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": ground.prefect_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "REDIS_URL": server.url,
            "PREFETCH_STAGE_DIR": str(folder / "stage"),
            "ODD_URL": f"sqlite:///{file}",
        }
        arguments = ("run", "--config", str(config), "--json")
        with ground.forks.prefetch(*arguments, env=environ, program=program(bug)) as process:
            ended = process.ended(60)
        found = _documents(server.url)
    if ended.returncode:
        return [f"the run fails: {ended.stdout[-300:]}"]
    return [f"user {u}: {found.get(u)}" for u in {*wanted, *found} if found.get(u) != wanted.get(u)]


def _documents(url: str) -> dict[str, Any]:
    documents = {}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for key in client.scan_iter(match="profile:*"):
            document = json.loads(client.execute_command("JSON.GET", key))
            document.pop("_meta")
            documents[key.removeprefix("profile:")] = document
    return documents


RUNS: dict[str, Check] = {
    "a bank": a_bank,
    "a source without rows": a_source_without_rows,
    "an older run loads last but one": an_older_run_loads_last_but_one,
    "an older run loads after a backfill": an_older_run_loads_after_a_backfill,
    "odd values": odd_values,
}
