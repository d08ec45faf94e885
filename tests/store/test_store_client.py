"""Connections: URLs, TLS, unix sockets, no retries of the driver's, errors in our own words."""

from __future__ import annotations

import pickle
import re
import ssl
from pathlib import Path

import pytest
import redis.exceptions as driver

import store
from core.errors import ConfigError, TargetDenied, TargetUnavailable, TargetUnfit
from devstack import RedisServer
from devstack.ports import PortLease
from store.client import Timeouts, client_of, pool_of
from store.driver_errors import mapped
from tests.security.authority import Authority


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@host",
        "redis://user:s3c/ret@host:6379",
        "redis://user:s3cret@host:63x79",
        "redis://user:s3cret@host?protocol=3",
        "redis://user:s3cret@host?socket_timeout=x",
        "redis://user:s3cret@host?decode_responses=true",
        "redis://user:s3cret@host?ssl_ca_certs=/x",
        "rediss://user:s3cret@host?ssl_cert_reqs=none",
        "rediss://user:s3cret@host?ssl_check_hostname=false",
        "",
    ],
)
def test_urls_that_cannot_be_used_are_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool_of(url)
    assert "REDIS_URL" in str(caught.value)
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://u:p%40ss@h:7/3", "rediss://h?ssl_ca_certs=/c", "unix:///s?db=1"]
)
def test_the_drivers_retries_are_off(url: str) -> None:
    connection = pool_of(url, Timeouts(connect_s=1.5, answer_s=2.5)).make_connection()
    assert connection.retry.get_retries() == 0
    assert connection.retry_on_error == []
    assert connection.retry_on_timeout is False
    assert connection.health_check_interval == 0
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (2.5, 1.5)
    assert connection.protocol == 2
    if url.startswith("redis://u"):
        assert (connection.username, connection.password, connection.db) == ("u", "p@ss", 3)


def test_a_client_does_not_send_twice(proxy) -> None:
    seen = []

    def drop(link, data: bytes) -> bytes | None:
        if b"INCR" in data:
            seen.append(data)
            return None
        return data

    proxy.on_request = drop
    with client_of(proxy.url) as client, pytest.raises(driver.ConnectionError):
        client.incr("twice")
    assert len(seen) == 1


def test_a_unix_socket(tmp_path: Path, make_bank) -> None:
    socket = tmp_path / "r.sock"
    with RedisServer(tmp_path / "redis", extra_args=["--unixsocket", str(socket)]):
        bank = make_bank(f"unix://{socket}?db=2")
        loaded = bank.load(bank.documents(50), complete=True)
        assert bank.check(loaded.expected).documents == 100
        assert bank.client.dbsize() == 102  # with the epoch and the floor


# --- TLS; tests/security has what is refused


def test_a_load_over_tls(tmp_path: Path, make_bank) -> None:
    authority = Authority(tmp_path)
    crt, key = authority.issue("server")
    lease = PortLease()
    options = ["--tls-port", str(lease.port), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(crt), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(authority.file)]
    with RedisServer(tmp_path / "redis", extra_args=options):
        bank = make_bank(f"rediss://127.0.0.1:{lease.port}?ssl_ca_certs={authority.file}")
        loaded = bank.load(bank.documents(200, size=3000), complete=True)
        assert bank.check(loaded.expected).documents == 400
        bank.client.close()
    lease.release()


# --- errors


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (driver.ConnectionError("x"), TargetUnavailable),
        (driver.TimeoutError("x"), TargetUnavailable),
        (driver.BusyLoadingError("x"), TargetUnavailable),
        (driver.MaxConnectionsError("x"), TargetUnavailable),
        (driver.InvalidResponse("x"), TargetUnavailable),
        (ConnectionResetError(), TargetUnavailable),
        (driver.ResponseError("BUSY x"), TargetUnavailable),
        (driver.ResponseError("MISCONF x"), TargetUnavailable),
        (driver.ResponseError("NOREPLICAS x"), TargetUnavailable),
        (driver.MasterDownError("x"), TargetUnavailable),
        (driver.TryAgainError("x"), TargetUnavailable),
        (driver.ClusterDownError("x"), TargetUnavailable),
        (driver.AuthenticationError("x", status_code="WRONGPASS"), TargetDenied),
        (driver.AuthenticationError("x"), TargetDenied),
        (driver.NoPermissionError("x", status_code="NOPERM"), TargetDenied),
        (driver.ReadOnlyError("x"), TargetUnavailable),
        (driver.OutOfMemoryError("x"), TargetUnfit),
        (driver.ResponseError("unknown command 'JSON.SET', with args"), TargetUnfit),
        (driver.ResponseError("anything else"), TargetUnfit),
    ],
)
def test_every_error_of_the_driver_has_its_meaning(error: Exception, kind: type) -> None:
    found = mapped(error, "JSON.SET")
    assert type(found) is kind
    assert "JSON.SET" in str(found)
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


def test_a_certificate_error_is_found_behind_the_drivers() -> None:
    error = driver.ConnectionError("x")
    error.__context__ = ssl.SSLCertVerificationError("y")
    assert "certificate" in str(mapped(error, "connecting"))


def test_the_source_names_no_dangerous_command() -> None:
    """Background freeing crashes RedisJSON 2.8; MERGE and a TTL are never wanted."""
    folder = Path(store.__file__).parent
    forbidden = re.compile(r"UNLINK|P?EXPIRE(AT)?\b|FLUSH|JSON\.MERGE|CONFIG|\.unlink\(|\.expire\(")
    found = {
        file.name: forbidden.findall(file.read_text())
        for file in folder.glob("*.py")
        if forbidden.search(file.read_text())
    }
    assert found == {}
