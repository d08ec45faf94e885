"""The Redis users of deploy/grants: what each may do, and what nobody gets by any trick."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from devstack import RedisServer
from tests.security import attempts, grants, matrix


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with matrix.server(tmp_path_factory.mktemp("users") / "redis") as running:
        attempts.prepare(running.url)
        yield running


def test_the_page_tells_what_each_user_may_do(server: RedisServer) -> None:
    found = matrix.measured(server.url)
    assert found.commands > 400
    assert found.refused > 2000
    assert matrix.differences(found) == []


def test_no_trick_shows_a_hash(server: RedisServer) -> None:
    for user, tries in attempts.watched(server.url).items():
        assert tries.seen == [], user
        assert tries.refused > 0.85 * tries.made


def test_the_tricks_would_show_it(server: RedisServer) -> None:
    """With JSON.MGET or a wider pattern for indexes, the session would see hashes."""
    root = server.url.replace(f":{matrix.OWN}@", f"default:{matrix.OWN}@")
    with redis.Redis.from_url(server.url) as admin:
        for rule in ("(~profile:* +json.mget)", "(~idx:demo_bank* +ft.search)"):
            try:
                admin.execute_command("ACL", "SETUSER", "app_session", rule)
                seen = attempts.tried(root, "app_session", attempts.HASH).seen
                assert seen, rule
            finally:
                grants.apply_redis(server.url)
    assert attempts.tried(root, "app_session", attempts.HASH).seen == []


def test_the_users_are_off_until_they_get_a_password(tmp_path: Path) -> None:
    """As the page says: through redis-cli, or as an aclfile."""
    with RedisServer(tmp_path / "typed") as typed:
        lines = (grants.GRANTS / "redis.acl").read_text(encoding="utf-8")
        commands = lines.replace("user ", "ACL SETUSER ")
        cli = [Path(typed.command()[0]).with_name("redis-cli"), "-e", "-p", str(typed.port)]
        subprocess.run(cli, input=commands, text=True, check=True, env=typed.environ())
        by_hand = sorted(typed.cli("ACL", "LIST").splitlines())
    acl_file = tmp_path / "users.acl"
    acl_file.write_text(lines, encoding="utf-8")
    with RedisServer(tmp_path / "filed", extra_args=["--aclfile", str(acl_file)]) as filed:
        assert sorted(filed.cli("ACL", "LIST").splitlines()) == by_hand
    users = [line.split()[1:3] for line in by_hand if " default " not in line]
    assert users == [[name, "off"] for name in sorted(grants.redis_users())]
