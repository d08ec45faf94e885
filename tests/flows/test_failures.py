"""Whatever goes wrong: a clear error that names the place, and nothing lost in Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from conftest import ROOT, make_bank
from oracle import documents

from core.errors import (
    ConfigError,
    GuardStopped,
    NotLoaded,
    PrefetchError,
    SourceUnavailable,
    TargetDenied,
    TargetUnfit,
)
from devstack import RedisServer, Stack
from devstack.ports import PortLease

Run = Callable[..., dict[str, Any]]
BERKA = ROOT / "examples/berka/pipeline.yaml"
SAMPLE = ROOT / "examples/sample_analytics/pipeline.yaml"


def _fails(run: Run, kind: type[PrefetchError], *args: Any, **more: str) -> PrefetchError:
    with pytest.raises(kind) as caught:
        run(*args, **more)
    report = caught.value.report
    assert report is not None
    assert report["status"] == "failed"
    return caught.value


def _closed_port() -> int:
    lease = PortLease()
    port = lease.port
    lease.release()
    return int(port)


@pytest.mark.parametrize("line", ["SAMPLE_CORE_URL", "SAMPLE_LOYALTY_URL", "SAMPLE_ENGAGEMENT_URL"])
def test_a_source_that_is_down(
    run: Run, sample_analytics: dict[str, str], target: RedisServer, line: str
) -> None:
    run(SAMPLE, sample_analytics)
    before = documents(target.url)
    schemes = {
        "SAMPLE_CORE_URL": "postgresql://postgres@127.0.0.1:{}/x",
        "SAMPLE_LOYALTY_URL": "mysql+pymysql://root@127.0.0.1:{}/x",
        "SAMPLE_ENGAGEMENT_URL": "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=500",
    }
    down = {**sample_analytics, line: schemes[line].format(_closed_port())}
    error = _fails(run, SourceUnavailable, SAMPLE, down)
    assert line.split("_")[1].lower() in str(error)
    assert documents(target.url) == before


def test_an_emptied_source(run: Run, stack: Stack, target: RedisServer) -> None:
    bank = make_bank(stack, "sample_analytics", "emptied")
    run(SAMPLE, {**bank})
    before = documents(target.url)
    engine = sa.create_engine(bank["SAMPLE_LOYALTY_URL"], poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM loyalty_tier")
    error = _fails(run, GuardStopped, SAMPLE, bank)
    assert "source loyalty" in str(error)
    assert "missing is not empty" in str(error)
    assert documents(target.url) == before


def test_a_wrong_join_stops_the_run_and_says_where(
    run: Run, berka: dict[str, str], target: RedisServer, tmp_path: Path
) -> None:
    text = BERKA.read_text(encoding="utf-8").replace(", where: {type: OWNER}", "")
    (tmp_path / "hooks.py").write_bytes((BERKA.parent / "hooks.py").read_bytes())
    wrong = tmp_path / "pipeline.yaml"
    wrong.write_text(text, encoding="utf-8")
    error = _fails(run, GuardStopped, wrong, berka)
    assert (
        "lending.loan: 145 of 682 rows can't be used (145 ambiguous_link (account_owner))"
        in str(error)
    )
    assert documents(target.url) == {}


def test_one_shared_email_stops_nothing(run: Run, stack: Stack, target: RedisServer) -> None:
    bank = make_bank(stack, "sample_analytics", "shared_email")
    engine = sa.create_engine(bank["SAMPLE_LOYALTY_URL"], poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO loyalty_tier VALUES ('shared', 'Jennifer49@gmail.com', 'Gold', 1)"
        )
    report = run(SAMPLE, bank)
    assert report["status"] == "success"
    assert report["quarantined"] == {"ambiguous_link": 1}
    profiles = documents(target.url)
    both = [d for d in profiles.values() if d["email"] == "jennifer49@gmail.com"]
    assert [d["tiers"] for d in both] == [[], []]


@pytest.mark.parametrize("times", [1, 3])
def test_damage_between_load_and_check(
    run: Run,
    sample_analytics: dict[str, str],
    target: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    """Written again where the check finds it, whatever its digest says; in vain is no success."""
    from flows import checking

    check, done = checking.check_buckets, []
    victims = {
        "missing": "5ca4bbcea2dd94ee58162a68",
        "damaged": "5ca4bbcea2dd94ee58162a69",
        "ttl": "5ca4bbcea2dd94ee58162a6a",
    }

    def damaged(run: Any, group: int, *args: Any) -> Any:
        if done.count(group) < times:
            done.append(group)
            with redis.Redis.from_url(target.url) as client:
                client.delete(f"profile:{victims['missing']}")
                client.execute_command("JSON.SET", f"profile:{victims['damaged']}", "$.name", '"x"')
                client.expire(f"profile:{victims['ttl']}", 1000)
        return check(run, group, *args)

    monkeypatch.setattr(checking, "check_buckets", damaged)
    if times == 3:
        error = _fails(run, NotLoaded, SAMPLE, sample_analytics)
        assert isinstance(error, NotLoaded)
        assert error.findings == {"missing": 1, "damaged": 1, "ttl": 1}
        return
    report = run(SAMPLE, sample_analytics)
    [why] = report["repeated"]
    assert why.endswith("differs from the stage (1 damaged, 1 missing, 1 ttl)")
    assert (report["findings"], report["created"], report["updated"]) == ({}, 1, 2)
    loaded = documents(target.url)
    assert len(loaded) == 500
    assert loaded[victims["damaged"]]["name"] != "x"
    with redis.Redis.from_url(target.url) as client:
        assert client.ttl(f"profile:{victims['ttl']}") == -1


def test_a_removal_and_a_document_that_went_to_another_key(
    run: Run,
    sample_analytics: dict[str, str],
    target: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a byte of a command changed on its way, once: noticed, and set right."""
    from store import plan

    packed, document = plan.packed, plan.Sealer.document
    leaver, other, lost = (
        f"profile:5ca4bbcea2dd94ee5816{n}".encode() for n in ("ffff", "2a68", "2a69")
    )
    stray, struck = lost[:-1] + b"\x19", []

    def damaged_removal(*command: Any) -> bytes:
        if command[:2] == ("DEL", leaver) and leaver not in struck:
            struck.append(leaver)
            command = ("DEL", other, *command[2:])
        return packed(*command)

    def damaged_document(sealer: plan.Sealer, key: bytes, *more: Any) -> bytes:
        if key == lost and lost not in struck:
            struck.append(lost)
            key = stray
        return document(sealer, key, *more)

    with redis.Redis.from_url(target.url) as client:
        client.execute_command("JSON.SET", leaver, "$", "{}")
    monkeypatch.setattr(plan, "packed", damaged_removal)
    monkeypatch.setattr(plan.Sealer, "document", damaged_document)
    report = run(SAMPLE, sample_analytics)
    assert struck == [lost, leaver]
    assert [why.rpartition("(")[2] for why in report["repeated"]] == ["1 missing)", "1 damaged)"]
    assert (report["status"], report["removed"]) == ("success", 1)
    loaded = documents(target.url)
    assert len(loaded) == 500
    assert {other[8:].decode(), lost[8:].decode()} < loaded.keys()


def _unfit_servers(folder: Path, main: RedisServer) -> dict[str, RedisServer]:
    return {
        "JSON": RedisServer(folder / "plain", modules=False),
        "replica": RedisServer(folder / "replica", replica_of=main),
        "noeviction": RedisServer(
            folder / "evicts", extra_args=["--maxmemory-policy", "allkeys-lru"]
        ),
    }


@pytest.mark.parametrize("word", ["JSON", "replica", "noeviction"])
def test_a_redis_that_is_not_fit(
    run: Run,
    sample_analytics: dict[str, str],
    target: RedisServer,
    tmp_path: Path,
    word: str,
) -> None:
    with _unfit_servers(tmp_path, target)[word].start() as unfit:
        error = _fails(run, TargetUnfit, SAMPLE, sample_analytics, REDIS_URL=unfit.url)
        assert word in str(error)
        assert redis.Redis.from_url(unfit.url).keys("profile:*") == []


def test_a_wrong_password(run: Run, sample_analytics: dict[str, str], tmp_path: Path) -> None:
    with RedisServer(tmp_path / "locked", password="right").start() as locked:
        wrong = locked.url.replace("right", "wr0ng-canary")
        error = _fails(run, TargetDenied, SAMPLE, sample_analytics, REDIS_URL=wrong)
    assert "wr0ng-canary" not in str(error)


def test_a_bad_file_and_a_missing_variable(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("profile: {name: x, anchor: a.b, colour: red}\nsources: {}\ndatasets: {}\n")
    error = _fails(run, ConfigError, bad, {})
    assert f"{bad}:1:33: profile → colour: no such key" in str(error)
    error = _fails(run, ConfigError, SAMPLE, {"SAMPLE_CORE_URL": ""})
    assert "SAMPLE_CORE_URL is not set" in str(error)
