"""The judge and the reader find each kind of damage, done to Redis by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.faults.campaign import Ground
from tests.faults.judge import taken_apart
from tests.faults.scene import Scene

USERS = 60


@pytest.fixture(scope="module")
def scene(ground: Ground) -> Iterator[Scene]:
    with Scene(ground, 7, USERS, buckets=2, reading=False) as made:
        yield made


@pytest.fixture
def client(scene: Scene) -> Iterator[redis.Redis]:
    """Redis as the last run has left it; every test's damage is undone by the next run."""
    with redis.Redis.from_url(scene.redis.url) as made:
        client_keys = {key: made.dump(key) for key in made.scan_iter(count=1000)}
        yield made
        made.execute_command("FLUSHALL", "SYNC")
        for key, value in client_keys.items():
            made.restore(key, 0, value)


def test_a_run_is_judged_good_from_both_kinds_of_sources(ground: Ground, scene: Scene) -> None:
    with Scene(ground, 7, USERS, kind="servers", buckets=2, reading=False) as servers:
        for one in (scene, servers):
            for _ in range(2):
                ended = one.run()
                assert ended.success, ended.errors
                assert not (found := one.judge.exact(one.world)), found.examples
                one.move(changed=0.5, joining=0.05, leaving=0.05)
        assert servers.world == scene.world


def _put(client: redis.Redis, user: str, change: Callable[[dict], object], kind: str) -> None:
    document = json.loads(client.execute_command("JSON.GET", f"{kind}:{user}"))
    change(document)
    text = json.dumps(document, separators=(",", ":"))
    client.execute_command("JSON.SET", f"{kind}:{user}", "$", text)


def _of(client: redis.Redis, source: str, target: str) -> None:
    text = client.execute_command("JSON.GET", f"profile:{source}")
    client.execute_command("JSON.SET", f"profile:{target}", "$", text)


DAMAGE = {
    "a profile gone": ("lost", lambda c: c.delete("profile:3")),
    "a credential gone": ("lost", lambda c: c.delete("credential:3")),
    "both gone": ("lost", lambda c: c.delete("profile:3", "credential:3")),
    "a value changed": ("torn", lambda c: _put(c, "3", lambda d: d["auth"].clear(), "profile")),
    "a TTL": ("lost", lambda c: c.expire("profile:3", 100)),
    "another's document": ("mixed_up", lambda c: _of(c, "4", "3")),
    "a stranger": ("mixed_up", lambda c: _of(c, "4", "9999")),
    "an epoch of the future": (
        "torn",
        lambda c: _put(c, "3", lambda d: d["_meta"].update(epoch=99), "profile"),
    ),
    "another digest": (
        "torn",
        lambda c: _put(c, "3", lambda d: d["_meta"].update(digest="0" * 32), "profile"),
    ),
    "a fence": ("left_over", lambda c: c.set("prefetch:faults:fence:0", "1:x")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(scene: Scene, client: redis.Redis, name: str) -> None:
    world = scene.history.worlds[2]
    assert not scene.judge.exact(world)
    kind, damage = DAMAGE[name]
    damage(client)
    assert kind in scene.judge.exact(world).violations


def test_what_goes_back_is_found(scene: Scene, client: redis.Redis) -> None:
    old, new = scene.history.worlds[1], scene.history.worlds[2]
    assert not scene.judge.exact(new)
    changed = next(u for u in new.users if u in old.users and old.of(u) != new.of(u))
    gone = next(u for u in old.users if u not in new.users)
    like = {u: client.execute_command("JSON.GET", f"profile:{u}") for u in (changed,)}
    for user in (changed, gone):
        for kind, body in zip(("profile", "credential"), old.of(user), strict=True):
            assert body is not None
            _store(client, f"{kind}:{user}", body)
    assert taken_apart(like[changed]).body == new.of(changed).profile
    found = scene.judge.exact(new)
    assert found.violations == {"stale": 1, "resurrected": 1}
    found = scene.judge.settled([1, 2])
    assert found.violations == {"stale": 1, "resurrected": 1}


def _store(client: redis.Redis, key: str, body: bytes) -> None:
    import hashlib

    covered = body[:-1] + b',"_meta":{"schema_version":1}}'
    digest = hashlib.sha256(covered).hexdigest()[:32]
    meta = b',"_meta":{"schema_version":1,"epoch":1,"digest":"%b"}}' % digest.encode()
    client.execute_command("JSON.SET", key, "$", body[:-1] + meta)


def test_the_reader_finds_misses_steps_back_and_mixtures(scene: Scene, client: redis.Redis) -> None:
    from tests.faults.reader import Reader

    old, new = scene.history.worlds[1], scene.history.worlds[2]
    changed = [u for u in new.users if u in old.users and old.of(u).profile != new.of(u).profile]
    with Reader(scene.redis.url, scene.history) as reader:
        reader.expect([1, 2])
        time.sleep(0.5)
        assert reader.figures.reads > 300
        assert not reader.figures.verdict
        first, second, third, fourth = changed[:4]
        client.delete(f"profile:{first}")
        for kind, body in zip(("profile", "credential"), old.of(second), strict=True):
            assert body is not None
            _store(client, f"{kind}:{second}", body)
        profile = old.of(third).profile
        assert profile is not None
        _put(client, third, lambda d: d["identity"].update(name="u1/x"), "profile")
        _put(client, fourth, lambda d: d["auth"].update(state="x"), "profile")
        time.sleep(1)
    found = reader.figures.verdict.violations
    assert all(found[kind] for kind in ("misses", "steps_back", "mixed_up", "torn")), found
