"""Rows 60 to 63, and 30: late commits, users who leave and return, many at once, a giant."""

from __future__ import annotations

import random
import time

import psycopg
import redis

from tests.faults.source_rows.bench import Bench, Wanted, right, stopped
from tests.faults.source_rows.databases import USERS

GIANT = 64 * 2**20


def late_commit(bench: Bench, dice: random.Random) -> list[str]:
    """Later than ``lag_s``: not seen by the incremental run, as told; by the nightly one it is."""
    bench.configure(core="lag_s: 0")
    user = dice.randrange(1, USERS)
    wrong = right(bench, bench.run())
    with psycopg.connect(bench.urls["ROWS_CORE_URL"]) as late:
        late.execute("UPDATE client SET name = 'late', changed = now() WHERE id = %s", (user,))
        time.sleep(0.05)
        bench.postgres("UPDATE client SET name = 'soon', changed = now() WHERE id = 120")
        wrong += right(bench, bench.run("incremental"))
        late.commit()
    wrong += right(bench, bench.run("incremental"))
    names = _names(bench)
    assert names[user] != "late", "the incremental run has seen it"
    if names[120] != "soon":
        wrong.append("the incremental run has not seen what was committed in time")
    wrong += right(bench, bench.run())
    if _names(bench)[user] != "late":
        wrong.append("the nightly run has not seen the late commit")
    bench.configure()
    bench.fill()
    return wrong + right(bench, bench.run())


def _names(bench: Bench) -> dict[int, str]:
    return {
        document["user_id"]: document["identity"]["name"]
        for key, document in bench.documents().items()
        if key.startswith("profile:")
    }


def deleted_in_the_source(bench: Bench, dice: random.Random) -> list[str]:
    """Removed by a run that ends, and by none that is killed before."""
    user = dice.randrange(1, USERS)
    both = {f"profile:{user}", f"credential:{user}"}
    bench.postgres(f"DELETE FROM client WHERE id = {user}")
    process = bench.start_halted("in core.b")
    bench.reached(process)
    process.kill()
    bench.ended(process)
    wrong = []
    if not both <= bench.documents().keys():
        wrong.append("removed by a run that was killed")
    ended = bench.run("incremental")
    if not both <= bench.documents().keys():
        wrong.append("removed by an incremental run")
    ended = bench.run(PREFETCH_FENCE_ALIVE_S="1")
    wrong += _ended(ended.success, "the run after it failed")
    if both & bench.documents().keys() or ended.report.get("removed") != 1:
        wrong.append(f"not removed by a complete run: {ended.report.get('removed')}")
    bench.fill()
    return wrong + right(bench, bench.run())


def _ended(success: bool, text: str) -> list[str]:
    return [] if success else [text]


def left_and_returned(bench: Bench, dice: random.Random) -> list[str]:
    user = dice.randrange(1, USERS)
    bench.postgres(f"CREATE TABLE gone AS SELECT * FROM client WHERE id = {user}")
    bench.postgres(f"DELETE FROM client WHERE id = {user}")
    first = bench.run()
    wrong = _ended(first.success and first.report["removed"] == 1, "not removed")
    marks = list(bench.client.scan_iter(match="prefetch:rows:removed:*"))
    assert any(bench.client.hexists(key, str(user)) for key in marks), "no mark was left"
    bench.postgres("INSERT INTO client SELECT * FROM gone", "DROP TABLE gone")
    second = bench.run()
    wrong += right(bench, second)
    document = bench.documents().get(f"profile:{user}")
    if document is None or document["_meta"]["epoch"] != second.report["epoch"]:
        wrong.append("not there again with the new epoch")
    for key in (f"profile:{user}", f"credential:{user}"):
        if bench.client.ttl(key) != -1:
            wrong.append(f"{key} expires")
    for key in bench.client.scan_iter(match="prefetch:rows:removed:*"):
        if bench.client.hexists(key, str(user)):
            wrong.append("its mark is still there")
    return wrong


def many_deleted(bench: Bench, dice: random.Random) -> list[str]:
    """More than the cap: nobody leaves until a person says so."""
    bench.configure(tail="guard: {max_removed: 2, max_row_drop: 1}\n")
    leaving = dice.randrange(3, USERS // 2)
    before = bench.documents()
    bench.postgres(f"DELETE FROM client WHERE id <= {leaving}")
    words = (f"{leaving} of {USERS} users in Redis would be removed",)
    accept = ("--accept", "quarantined", "--by", "a trial", "--why", "a trial")
    ended = bench.run("run", *accept)
    wrong = stopped(bench, ended, Wanted(5, words), before)
    ended = bench.run("run", "--accept-removals", str(leaving - 1), *accept)
    wrong += stopped(bench, ended, Wanted(5, words), before)
    ended = bench.run("run", "--accept-removals", str(leaving), *accept)
    if not ended.success or ended.report["removed"] != leaving:
        wrong.append(f"not removed: {ended.report.get('error')}")
    bench.configure()
    bench.fill()
    return wrong + right(bench, bench.run())


def a_giant(bench: Bench, dice: random.Random) -> list[str]:
    """One profile too large: held, and told; all others are loaded."""
    user = dice.randrange(1, USERS)
    bench.postgres(
        f"UPDATE client SET name = repeat('x', {GIANT}) WHERE id = {user}",
        f"UPDATE client SET name = 'small' WHERE id <> {user}",
    )
    ended = bench.run()
    wrong = [] if ended.success else [f"no success: {ended.report.get('error')}"]
    with redis.Redis.from_url(bench.redis.url, decode_responses=True) as client:
        held = str(client.execute_command("JSON.GET", f"profile:{user}", "$._meta.held"))
    if "too_large" not in held:
        wrong.append(f"not held: {held}")
    names = _names(bench)
    if len(names[user]) == GIANT or [
        name for who, name in names.items() if who != user and name != "small"
    ]:
        wrong.append("the others were not loaded, or the giant was")
    bench.fill()
    return wrong + right(bench, bench.run())
