"""Sentinel URLs: who is the primary is asked for with every connection, through a failover too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from core.errors import ConfigError, TargetDenied, TargetUnavailable, TargetUnfit
from devstack import RedisServer
from devstack.ports import PortLease
from store.client import Timeouts, async_pool_of, client_of, pool_of
from store.continuity import Patience
from store.links import AsyncLink, Link
from store.preflight import preflight
from store.sentinel import SentinelUrl
from tests.security.authority import Authority
from tests.sentinels import SERVICE, Group, SentinelServer, group
from tests.store.conftest import Bank
from tests.store.test_continuity import Run, is_all_there, once

FAILOVER_S = 30
USERS = 200


# --- URLs


def test_all_parts_of_a_url() -> None:
    url = SentinelUrl.of(
        "rediss+sentinel://us%40er:p%2Fw@a:1,[::1]:2,c/my%20service/3"
        "?sentinel_username=s&sentinel_password=t%26u&ssl_ca_certs=%2Fca"
    )
    assert url is not None
    assert url.members == (("a", 1), ("::1", 2), ("c", 26379))
    assert (url.service, url.username, url.password) == ("my service", "s", "t&u")
    assert url.data_url == "rediss://us%40er:p%2Fw@primary/3?ssl_ca_certs=%2Fca"
    assert "p%2Fw" not in repr(url) and "t&u" not in repr(url)
    connection = pool_of(
        "rediss+sentinel://us%40er:p%2Fw@a/m/3?ssl_ca_certs=%2Fca"
    ).make_connection()
    assert (connection.username, connection.password, connection.db) == ("us@er", "p/w", 3)
    assert (connection.check_hostname, connection.ca_certs) == (True, "/ca")
    assert connection.cert_reqs.name == "CERT_REQUIRED"


def test_other_urls_are_none() -> None:
    assert SentinelUrl.of("redis://a,b/m") is None
    assert SentinelUrl.of("unix:///redis+sentinel://x") is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:s3cret@host:26379",
        "redis+sentinel://u:s3cret@host:26379/",
        "redis+sentinel://u:s3cret@host:26379?db=1",
        "redis+sentinel://u:s3cret@host:26379/m/x",
        "redis+sentinel://u:s3cret@host:26379/m/0/1",
        "redis+sentinel://u:s3cret@host:0/m",
        "redis+sentinel://u:s3cret@host:99999/m",
        "redis+sentinel://u:s3cret@host:/m",
        "redis+sentinel://u:s3cret@/m",
        "redis+sentinel://u:s3cret@a,,b/m",
        "redis+sentinel://u:s3c/ret@a/m",
        "redis+sentinel://u:s3cret@a/m?protocol=3",
        "redis+sentinel://u:s3cret@a/m?ssl_ca_certs=/x",
        "rediss+sentinel://u:s3cret@a/m?ssl_cert_reqs=none",
        "redis+sentinel:u:s3cret@a/m",
    ],
)
def test_urls_that_cannot_be_used_are_refused_without_being_quoted(url: str) -> None:
    for make in (pool_of, async_pool_of):
        with pytest.raises(ConfigError) as caught:
            make(url)
        assert "REDIS_URL" in str(caught.value)
        assert "s3c" not in str(caught.value)


def test_the_drivers_retries_are_off() -> None:
    times = Timeouts(connect_s=1.5, answer_s=2.5)
    pools = [make("redis+sentinel://a/m", times) for make in (pool_of, async_pool_of)]
    members = [pool.sentinel_manager.sentinels[0].connection_pool for pool in pools]
    for connection in [pool.make_connection() for pool in (*pools, *members)]:
        assert connection.retry.get_retries() == 0
        assert connection.retry_on_error == []
        assert (connection.socket_timeout, connection.socket_connect_timeout) == (2.5, 1.5)


# --- a group


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    with group(tmp_path_factory.mktemp("sentinel")) as made:
        yield made


def test_a_service_that_no_sentinel_knows(watched: Group, make_bank: Callable[..., Bank]) -> None:
    bank = make_bank(watched.url.replace(SERVICE, "another"))
    for action in (
        lambda: preflight(bank.client, bank.keys),
        lambda: bank.load(bank.documents(1), 1),
        lambda: Link(bank.url).ask([("GET", "a")]),
        lambda: asyncio.run(AsyncLink(bank.url).ask([("GET", "a")])),
    ):
        with pytest.raises(TargetUnavailable, match="no Sentinel names a living primary") as caught:
            action()
        assert "another" not in str(caught.value)


def test_sentinels_that_are_all_down(make_bank: Callable[..., Bank]) -> None:
    bank = make_bank("redis+sentinel://u:s3cret@127.0.0.1:1,127.0.0.1:2/m")
    with pytest.raises(TargetUnavailable, match="no Sentinel names a living primary") as caught:
        preflight(bank.client, bank.keys)
    assert "s3cret" not in str(caught.value)


def _until_answered(ask: Callable[[], object]) -> float:
    """Seconds until a question is answered; whatever comes before must be a clear error."""
    started = time.monotonic()
    while True:
        try:
            ask()
            return time.monotonic() - started
        except TargetUnavailable:
            assert time.monotonic() - started < FAILOVER_S
            time.sleep(0.02)


def test_a_failover_in_mid_load_is_followed(watched: Group, make_bank: Callable[..., Bank]) -> None:
    """By the load and by the apps' readers, which keep their connections open."""
    before = watched.primary()
    bank = make_bank(watched.url)
    link, async_link = Link(watched.url), AsyncLink(watched.url)
    question = [("GET", bank.keys.epoch)]

    async def ask() -> list[bytes]:
        return await async_link.ask(question)

    def fail_over() -> None:
        with client_of(before.url) as client:
            client.set("in step", 1)
            assert client.execute_command("WAIT", 1, 9_000) == 1
        before.kill()

    with asyncio.Runner() as loop, closing(link):
        try:
            assert link.ask(question) == [None]
            assert loop.run(ask()) == [None]
            run = Run(bank, bank.url, patience=Patience(5, away_s=FAILOVER_S))
            run.at = once("check", fail_over)
            run.carry_out(bank.documents(USERS))
            assert run.attempts >= 2
            is_all_there(bank, run)
            after = watched.primary()
            assert after is not before
            with client_of(after.url) as client:
                assert client.exists(*(bank.keys.profile(str(n)) for n in range(USERS))) == USERS
            _until_answered(lambda: link.ask(question))
            _until_answered(lambda: loop.run(ask()))
            assert link.ask(question) == loop.run(ask()) == [b"1"]
        finally:
            loop.run(async_link.close())


# --- passwords and TLS


def test_passwords_of_the_primary_and_of_the_sentinels(
    tmp_path, make_bank: Callable[..., Bank]
) -> None:
    with ExitStack() as running:
        primary = RedisServer(tmp_path / "redis", password="of-data")
        running.enter_context(primary)
        sentinel = SentinelServer(
            tmp_path / "sentinel",
            watched=primary.port,
            password="of-sentinel",
            after=[f"sentinel auth-pass {SERVICE} of-data"],
        )
        running.enter_context(sentinel)
        place = f"127.0.0.1:{sentinel.port}/{SERVICE}"
        bank = make_bank(f"redis+sentinel://:of-data@{place}?sentinel_password=of-sentinel")
        _until_answered(lambda: preflight(bank.client, bank.keys))
        bank.load(bank.documents(20))
        wrong = make_bank(f"redis+sentinel://:of-data@{place}?sentinel_password=of-nobody")
        with pytest.raises(TargetUnavailable, match="sentinel_password") as caught:
            preflight(wrong.client, wrong.keys)
        assert "of-" not in str(caught.value)
        wrong = make_bank(f"redis+sentinel://:of-nobody@{place}?sentinel_password=of-sentinel")
        with pytest.raises(TargetDenied, match="WRONGPASS"):
            preflight(wrong.client, wrong.keys)


def test_tls_to_the_primary_and_to_the_sentinels(tmp_path, make_bank: Callable[..., Bank]) -> None:
    tmp_path.joinpath("tls").mkdir()
    authority = Authority(tmp_path / "tls")
    tmp_path.joinpath("others").mkdir()
    other = Authority(tmp_path / "others")
    crt, key = authority.issue("server")
    own = [
        ("tls-auth-clients", "no"),
        ("tls-cert-file", crt),
        ("tls-key-file", key),
        ("tls-ca-cert-file", authority.file),
    ]
    of_data, of_sentinel = PortLease(), PortLease()
    options = [f"--{name}" if part == 0 else str(value) for name, value in own for part in (0, 1)]
    with ExitStack() as running:
        running.callback(of_data.release)
        running.callback(of_sentinel.release)
        running.enter_context(
            RedisServer(tmp_path / "redis", extra_args=["--tls-port", str(of_data.port), *options])
        )
        lines = [f"{name} {value}" for name, value in own]
        lines += [f"tls-port {of_sentinel.port}", "tls-replication yes"]
        running.enter_context(
            SentinelServer(tmp_path / "sentinel", watched=of_data.port, lines=lines)
        )
        place = f"rediss+sentinel://127.0.0.1:{of_sentinel.port}/{SERVICE}"
        bank = make_bank(f"{place}?ssl_ca_certs={authority.file}")
        _until_answered(lambda: preflight(bank.client, bank.keys))
        loaded = bank.load(bank.documents(20))
        assert bank.check(loaded.expected).findings == {}
        for link_url in (f"{place}?ssl_ca_certs={other.file}", place):
            wrong = make_bank(link_url)
            with pytest.raises((TargetUnfit, TargetUnavailable)):
                preflight(wrong.client, wrong.keys)
        plain = make_bank(bank.url.partition("?")[0].replace("rediss+", "redis+"))
        with pytest.raises(TargetUnavailable):
            preflight(plain.client, plain.keys)
