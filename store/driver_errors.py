"""Driver errors told in core's words: what happened and to which command, never with a value.

redis-py quotes the start of a command, document included, so its texts are not passed on.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import redis.exceptions as driver
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.sentinel import MasterNotFoundError

from core.errors import TargetDenied, TargetError, TargetUnavailable, TargetUnfit

_PIPELINE = " of pipeline caused error: "
_LATER = {
    "LOADING": "it is loading its data",
    "BUSY": "a script blocks it",
    "MASTERDOWN": "its primary is down",
    "TRYAGAIN": "a hash slot is on the move",
    "CLUSTERDOWN": "the cluster is down",
    "MISCONF": "it can't save to its disk and refuses writes",
    "NOREPLICAS": "too few replicas are connected (min-replicas-to-write)",
    "READONLY": "this is a replica, or has become one: REDIS_URL must lead to the primary",
}
_DENIED = {
    "NOAUTH": "it wants a password: put user and password into the URL",
    "WRONGPASS": "wrong user or password",
    "NOPERM": "the Redis user may not do this: see the ACL in the documentation",
}
_UNFIT = {
    "OOM": "it is out of memory: raise maxmemory or make room",
    "MOVED": "this is a Redis Cluster, which is not supported yet",
    "ASK": "this is a Redis Cluster, which is not supported yet",
    "CROSSSLOT": "this is a Redis Cluster, which is not supported yet",
    "WRONGTYPE": "a key has another type",
}
_KNOWN = {*_LATER, *_DENIED, *_UNFIT, "ERR", "EXECABORT"}
_CODE_OF_CLASS: dict[type[Exception], str] = {
    driver.BusyLoadingError: "LOADING",
    driver.MasterDownError: "MASTERDOWN",
    driver.ClusterDownError: "CLUSTERDOWN",
    driver.TryAgainError: "TRYAGAIN",
    driver.NoPermissionError: "NOPERM",
    driver.ReadOnlyError: "READONLY",
    driver.OutOfMemoryError: "OOM",
    driver.MovedError: "MOVED",
    driver.ClusterCrossSlotError: "CROSSSLOT",
}
_CROWDED = "max number of clients reached"
_UNKNOWN_COMMAND = re.compile(r"unknown command", re.IGNORECASE)


@contextmanager
def driver_errors(command: str) -> Iterator[None]:
    """Turns what the driver raises within into one of core's errors.

    Args:
        command: what was being done, for the message: a command's name, never its arguments.
    """
    try:
        yield
    except (driver.RedisError, OSError) as error:
        raise mapped(error, command) from None


def mapped(error: Exception, command: str) -> TargetError:
    """The error of core that a driver's error means."""
    code = code_of(error)
    if code in _LATER:
        return TargetUnavailable(f"{command} failed with {code}: {_LATER[code]}")
    if code in _DENIED:
        return TargetDenied(f"{command} failed with {code}: {_DENIED[code]}")
    if code in _UNFIT:
        return TargetUnfit(f"{command} failed with {code}: {_UNFIT[code]}")
    if isinstance(error, MasterNotFoundError | AsyncMasterNotFoundError):
        return TargetUnavailable(
            f"{command} failed: no Sentinel names a living primary; a failover may be under way, "
            "or hosts, service, sentinel_username or sentinel_password in the URL are wrong"
        )
    if isinstance(error, driver.AuthenticationError | driver.AuthorizationError):
        return TargetDenied(f"{command} failed: {_DENIED['WRONGPASS']}")
    if _from_certificate(error):
        return TargetUnfit(
            f"{command} failed: the server's certificate is not trusted; add "
            "?ssl_ca_certs=<file> to the URL, and use the host name in the certificate"
        )
    if str(error) == _CROWDED:
        return TargetUnavailable(f"{command} failed: it has as many clients as maxclients allows")
    if isinstance(error, driver.TimeoutError | TimeoutError):
        return TargetUnavailable(f"{command} failed: no answer in time")
    if isinstance(error, driver.ConnectionError | driver.InvalidResponse | OSError):
        return TargetUnavailable(f"{command} failed: no connection, or it was cut off")
    if _UNKNOWN_COMMAND.match(str(error)):
        return TargetUnfit(f"{command} is unknown to this Redis: it needs Redis 8, or RedisJSON")
    return TargetUnfit(f"{command} was refused" + (f" with {code}" if code else ""))


def code_of(error: Exception) -> str:
    """The first word of Redis' error reply, where it is a code such as ``OOM``; else nothing."""
    code = getattr(error, "status_code", None)
    if not code:
        for kind, known in _CODE_OF_CLASS.items():
            if isinstance(error, kind):
                return known
        code = str(error).rpartition(_PIPELINE)[2].partition(" ")[0]
    return code if code in _KNOWN else ""


def _from_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
