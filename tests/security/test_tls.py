"""TLS to Redis and to every kind of server that is read: verified, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.errors import ConfigError, SourceDenied, TargetError
from devstack import Stack
from tests.security.authority import Authority
from tests.security.tls_servers import ENGINES, Engine

REFUSED = (SourceDenied, TargetError)


@pytest.fixture(scope="module", params=ENGINES, ids=lambda kind: kind.__name__)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("tls")
    made = request.param(folder, Authority(folder))
    yield made
    made.close()


def secure(engine: Engine) -> str:
    return engine.secure.format(ca=engine.authority.file)


def test_it_works_with_the_ca(engine: Engine) -> None:
    assert engine.ask(engine.url(secure(engine)))


def test_without_the_ca_it_is_refused(engine: Engine) -> None:
    with pytest.raises(REFUSED, match="certificate"):
        engine.ask(engine.url(engine.bare))


def test_with_another_ca_it_is_refused(engine: Engine) -> None:
    other = Authority(engine.folder, "other")
    with pytest.raises(REFUSED, match="certificate"):
        engine.ask(engine.url(engine.secure.format(ca=other.file)))


def test_another_host_is_refused(engine: Engine) -> None:
    with pytest.raises(REFUSED, match="certificate"):
        engine.ask(engine.url(secure(engine), host="localhost"))


def test_an_expired_certificate_is_refused(engine: Engine) -> None:
    with engine.expired() as url, pytest.raises(REFUSED, match="certificate"):
        engine.ask(url.format(ca=engine.authority.file))


def test_there_is_no_fall_back_to_plain_text(engine: Engine, stack: Stack) -> None:
    with pytest.raises(REFUSED):
        engine.ask(engine.plain_url(stack, secure(engine)))


def test_what_does_not_verify_can_not_be_said(engine: Engine) -> None:
    for weak in engine.weak:
        with pytest.raises(ConfigError) as caught:
            engine.ask(engine.url(weak.format(ca=engine.authority.file)))
        assert str(engine.authority.file) not in str(caught.value)
