"""Runs and sources killed in the middle: repeated, everything ends as if nothing had been."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from conftest import ROOT, child_environ
from oracle import documents, without_epoch

from core.errors import SourceUnavailable
from devstack import RedisServer
from tests.forked import Forks

Run = Callable[..., dict[str, Any]]
BERKA = ROOT / "examples/berka/pipeline.yaml"
SAMPLE = ROOT / "examples/sample_analytics/pipeline.yaml"
USERS = 500
DEADLINE_S = 60

PLACES = ["stage", "rows", "linked", "1", "40", "120", "250", "350", "450", "checking"]


def _reached(place: str, stage: Path, client: redis.Redis) -> bool:
    if place == "stage":
        return any(stage.glob("stage-*"))
    if place == "rows":
        return any(stage.glob("stage-*/rows.*.arrow"))
    if place == "linked":
        return any(stage.glob("stage-*/rows.loyalty.*.arrow"))
    keys = int(client.dbsize())
    return keys >= (USERS if place == "checking" else int(place) + 10)


@pytest.fixture
def whole(
    run: Run, sample_analytics: dict[str, str], target: RedisServer
) -> dict[str, dict[str, Any]]:
    run(SAMPLE, sample_analytics)
    return without_epoch(documents(target.url))


def test_killed_at_ten_places_and_repeated(
    run: Run,
    sample_analytics: dict[str, str],
    target: RedisServer,
    prefect_url: str,
    tmp_path: Path,
    whole: dict[str, dict[str, Any]],
    forks: Forks,
) -> None:
    stage = tmp_path / "stage"
    client = redis.Redis.from_url(target.url)
    environ = child_environ(
        **sample_analytics,
        REDIS_URL=target.url,
        PREFECT_API_URL=prefect_url,
        PREFETCH_STAGE_DIR=str(stage),
        PREFETCH_BATCH_DOCUMENTS="1",
        PREFETCH_FENCE_ALIVE_S="1",
    )
    partly = 0
    for place in PLACES:
        client.execute_command("FLUSHALL", "SYNC")
        with forks.prefetch("run", "--config", str(SAMPLE), "--json", env=environ) as child:
            until = time.monotonic() + DEADLINE_S
            while not _reached(place, stage, client):
                assert child.poll() is None, f"the run ended before {place}"
                assert time.monotonic() < until, f"{place} was never reached"
                time.sleep(0.0005)
            child.kill()
        left = documents(target.url)
        assert without_epoch(left).items() <= whole.items()
        partly += 0 < len(left) < USERS
        report = run(SAMPLE, sample_analytics, PREFETCH_FENCE_ALIVE_S="1")
        assert report["status"] == "success"
        assert report["created"] == USERS - len(left)
        assert (report["updated"], report["unchanged"]) == (0, len(left))
        assert without_epoch(documents(target.url)) == whole
        assert not any(stage.glob("stage-*")), "the dead run's stage was not purged"
    assert partly >= 5, "too few kills hit the middle of the load"


def test_a_source_killed_in_mid_extraction(
    run: Run, berka: dict[str, str], target: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import extraction

    normalise = extraction.normalise
    run(BERKA, berka)
    before = documents(target.url)
    killed = []

    def kill_first(frame: Any, plan: Any, hook: Any) -> Any:
        if plan.source == "core" and not killed:
            with psycopg.connect(berka["BERKA_CORE_URL"].replace("+psycopg", "")) as admin:
                killed.append(
                    admin.execute(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE application_name = 'profile-prefetch' "
                        "AND datname = current_database()"
                    ).fetchone()
                )
        return normalise(frame, plan, hook)

    monkeypatch.setattr(extraction, "normalise", kill_first)
    with pytest.raises(SourceUnavailable, match="source core"):
        run(BERKA, berka, PREFETCH_CHUNK_BYTES="65536")
    assert killed == [(1,)]
    assert documents(target.url) == before
