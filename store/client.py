"""Connections to Redis, all without the driver's retries.

redis-py re-sends whole pipelines by default, and its silent reconnect drops a WATCH: what is
sent again is decided here, never there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from redis import asyncio, sentinel
from redis.asyncio import sentinel as async_sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.driver_info import DriverInfo
from redis.retry import Retry

from core.errors import ConfigError
from store.sentinel import AsyncMembers, Members, SentinelUrl

Client = redis.Redis
"""A client as ``client_of`` makes it."""

# What the driver would look up in its package's metadata for every connection, in milliseconds.
_DRIVER = DriverInfo(lib_version=redis.__version__)

# Everything else either weakens TLS or changes how replies look.
_OPTIONS = frozenset(
    "host port path db username password connection_class client_name "
    "ssl_ca_certs ssl_ca_path ssl_certfile ssl_keyfile ssl_keyfile_password".split()
)


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for Redis, in seconds."""

    connect_s: float = 5.0
    answer_s: float = 10.0


def pool_of(url: str, timeouts: Timeouts = Timeouts()) -> ConnectionPool:
    """A pool of connections to ``redis://``, ``rediss://`` or ``unix://``, without retries.

    ``redis+sentinel://`` and ``rediss+sentinel://`` lead to the primary that Sentinel names at
    the moment of each connection. With TLS the certificate and the host's name are always
    checked; ``?ssl_ca_certs=`` names the CA where it is not one of the system's.

    Raises:
        ConfigError: where the URL can't be used; the message does not quote it.
    """
    retry, place = Retry(NoBackoff(), 0), SentinelUrl.of(url)
    if place is None:
        return ConnectionPool.from_url(url, retry=retry, **_options(url, timeouts))
    primary, members = _sentinel_options(place, timeouts)
    asked = Members(place.members, sentinel_kwargs={**members, "retry": retry})  # type: ignore[no-untyped-call]
    return sentinel.SentinelConnectionPool(place.service, asked, retry=retry, **primary)


def async_pool_of(url: str, timeouts: Timeouts = Timeouts()) -> asyncio.ConnectionPool:
    """Likewise for asyncio.

    Raises:
        ConfigError: where the URL can't be used; the message does not quote it.
    """
    retry, place = AsyncRetry(NoBackoff(), 0), SentinelUrl.of(url)
    if place is None:
        return asyncio.ConnectionPool.from_url(url, retry=retry, **_options(url, timeouts))
    primary, members = _sentinel_options(place, timeouts)
    asked = AsyncMembers(place.members, sentinel_kwargs={**members, "retry": retry})  # type: ignore[no-untyped-call]
    return async_sentinel.SentinelConnectionPool(place.service, asked, retry=retry, **primary)


def client_of(url: str, timeouts: Timeouts = Timeouts()) -> redis.Redis:
    """A client for reading and for control keys; replies are bytes, nothing is tried twice.

    Raises:
        ConfigError: where the URL can't be used; the message does not quote it.
    """
    return redis.Redis.from_pool(pool_of(url, timeouts))


def _options(url: str, timeouts: Timeouts) -> dict[str, Any]:
    options = _checked(url)
    tls: dict[str, Any] = {}
    if url.startswith("rediss://"):
        tls = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    elif any(name.startswith("ssl_") for name in options):
        raise ConfigError("REDIS_URL: ssl_… options need rediss:// or rediss+sentinel://")
    return {
        "driver_info": _DRIVER,
        "protocol": 2,
        "retry_on_error": [],
        "retry_on_timeout": False,
        "socket_connect_timeout": timeouts.connect_s,
        "socket_timeout": timeouts.answer_s,
        **tls,
    }


def _sentinel_options(
    place: SentinelUrl, timeouts: Timeouts
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options for connections to the primary, and to the Sentinels; TLS is for both."""
    told: dict[str, Any] = parse_url(place.data_url)
    common = _options(place.data_url, timeouts)
    common |= {name: value for name, value in told.items() if name.startswith("ssl_")}
    common["ssl"] = place.data_url.startswith("rediss://")
    own = ("username", "password", "db", "client_name")
    primary = {**common, **{name: told[name] for name in own if name in told}}
    del common["retry_on_timeout"]  # deprecated where a whole client is made
    return primary, {**common, "username": place.username, "password": place.password}


def _checked(url: str) -> dict[str, Any]:
    try:
        options: dict[str, Any] = parse_url(url)
    except ValueError:
        # The driver's message may quote a part of the password.
        raise ConfigError(
            "REDIS_URL is not a Redis URL: write redis://, rediss:// (TLS), unix://, or "
            "redis+sentinel://, as in redis://user:password@host:6379/0, with special characters "
            "percent-encoded"
        ) from None
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise ConfigError(
            f"REDIS_URL: the option {unknown[0]!r} can't be set there; "
            "possible are db, client_name and ssl_ca_certs, ssl_certfile, ssl_keyfile, and "
            "for Sentinel sentinel_username and sentinel_password"
        )
    return options
