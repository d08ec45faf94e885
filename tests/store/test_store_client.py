"""Connections: URLs, TLS, unix sockets, no retries of the driver's, errors in our own words."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest
import redis.exceptions as driver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import store
from core.errors import ConfigError, TargetDenied, TargetUnavailable, TargetUnfit
from devstack import RedisServer
from devstack.ports import PortLease
from store.client import Timeouts, client_of, pool_of
from store.driver_errors import mapped


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


# --- TLS


def certificate(folder: Path, name: str, issuer=None):
    """A key and certificate; self-signed for a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
    )
    made = builder.sign(issuer[0] if issuer else key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key, made


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = certificate(folder, "ca")
    certificate(folder, "other")
    certificate(folder, "server", authority)
    lease = PortLease()
    options = ["--tls-port", str(lease.port), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(folder / "server.crt")]
    options += ["--tls-key-file", str(folder / "server.key")]
    options += ["--tls-ca-cert-file", str(folder / "ca.crt")]
    with RedisServer(folder / "redis", extra_args=options):
        yield f"127.0.0.1:{lease.port}", folder
    lease.release()


def test_tls_with_the_right_ca(tls, make_bank) -> None:
    place, folder = tls
    bank = make_bank(f"rediss://{place}?ssl_ca_certs={folder}/ca.crt")
    loaded = bank.load(bank.documents(200, size=3000), complete=True)
    assert bank.check(loaded.expected).documents == 400


@pytest.mark.parametrize("options", ["?ssl_ca_certs={folder}/other.crt", ""])
def test_tls_with_a_wrong_ca_is_refused(tls, make_bank, options: str) -> None:
    place, folder = tls
    bank = make_bank(f"rediss://{place}{options.format(folder=folder)}")
    with pytest.raises(TargetUnfit, match="certificate is not trusted"):
        bank.load(bank.documents(1), 1)


def test_tls_for_another_host_name_is_refused(tls, make_bank) -> None:
    place, folder = tls
    url = f"rediss://{place.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={folder}/ca.crt"
    bank = make_bank(url)
    with pytest.raises(TargetUnfit, match="certificate is not trusted"):
        bank.load(bank.documents(1), 1)


def test_there_is_no_fall_back_to_plain_text(server, make_bank) -> None:
    bank = make_bank(server.url.replace("redis://", "rediss://"))
    with pytest.raises(TargetUnavailable):
        bank.load(bank.documents(1), 1, timeouts=Timeouts(0.1, 0.1))


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
