"""Sentinel URLs: whoever is the primary now is asked for anew with every connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote, urlencode

from redis import sentinel
from redis.asyncio import sentinel as async_sentinel

from core.errors import ConfigError

PORT = 26379

_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_URL = re.compile(r"(?P<scheme>[a-z+]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)\??(?P<query>.*)")
_MEMBER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(?P<port>\d{1,5}))?")
_FORM = (
    "REDIS_URL is not a Sentinel URL: write redis+sentinel:// or rediss+sentinel:// (TLS) as in "
    "redis+sentinel://user:password@host1:26379,host2:26379/service/0, with special characters "
    "percent-encoded"
)


@dataclass(frozen=True)
class SentinelUrl:
    """What a Sentinel URL says.

    Attributes:
        members: host and port of each Sentinel.
        service: the name by which they know the primary.
        data_url: an ordinary URL with all that holds for the primary; its host means nothing.
        username: for the Sentinels themselves, as the password.
    """

    members: tuple[tuple[str, int], ...]
    service: str
    data_url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Self | None:
        """What a URL says, or None where it is of another kind.

        Raises:
            ConfigError: it is one, but wrong; the message does not quote it.
        """
        if url.partition("://")[0] not in _SCHEMES:
            return None
        parts = _URL.fullmatch(url)
        if parts is None:
            raise ConfigError(_FORM)
        login, at, members = parts["authority"].rpartition("@")
        service, _, db = parts["path"].removeprefix("/").partition("/")
        if not service or not re.fullmatch(r"\d*", db):
            raise ConfigError(
                "REDIS_URL: a Sentinel URL ends with the service's name and the database, as in "
                "…:26379/mymaster/0"
            )
        options = dict(parse_qsl(parts["query"], keep_blank_values=True))
        username = options.pop("sentinel_username", None)
        password = options.pop("sentinel_password", None)
        scheme, query = _SCHEMES[parts["scheme"]], urlencode(options)
        data_url = f"{scheme}://{login}{at}primary/{db or 0}" + (f"?{query}" if query else "")
        return cls(_members(members), unquote(service), data_url, username, password)


class Members(sentinel.Sentinel):
    """Sentinels; no connection to them is kept."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary now."""
        try:
            found: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]  # the driver has no types here
            return found
        finally:
            for member in self.sentinels:
                member.connection_pool.disconnect(inuse_connections=False)


class AsyncMembers(async_sentinel.Sentinel):
    """Likewise for asyncio."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary now."""
        try:
            found: tuple[str, int] = await super().discover_master(service_name)
            return found
        finally:
            for member in self.sentinels:
                await member.connection_pool.disconnect(inuse_connections=False)


def _members(text: str) -> tuple[tuple[str, int], ...]:
    found = [_MEMBER.fullmatch(member) for member in text.split(",")]
    members = [(match["host"].strip("[]"), int(match["port"] or PORT)) for match in found if match]
    if len(members) != len(found) or any(not 0 < port < 65536 for _, port in members):
        raise ConfigError(_FORM)
    return tuple(members)
