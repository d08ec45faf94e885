"""What RediSearch's error replies mean; its texts may quote queries, so they are not passed on."""

from __future__ import annotations

import re
from typing import Any

import redis.exceptions as driver

from core.errors import ConfigError, IndexMissing, TargetUnfit
from store.driver_errors import mapped

_MISSING = re.compile(r"no such index|unknown index name", re.IGNORECASE)
_SYNTAX = re.compile(r"syntax error(?: at offset (?P<place>\d+))?", re.IGNORECASE)
_UNKNOWN_COMMAND = re.compile(r"unknown command", re.IGNORECASE)


def search_reply(reply: Any) -> Any:
    """The reply to a command of the search module, where it is no error.

    Raises:
        IndexMissing: there is no such index.
        ConfigError: the query has a mistake.
        TargetError: what else the error reply means.
    """
    if not isinstance(reply, driver.RedisError):
        return reply
    text = str(reply)
    if _MISSING.search(text):
        raise IndexMissing("there is no search index: create it with `prefetch index create`")
    if _UNKNOWN_COMMAND.match(text):
        raise TargetUnfit("this Redis has no search: it needs Redis 8, or the module RediSearch")
    syntax = _SYNTAX.search(text)
    if syntax:
        place = f" at sign {int(syntax['place']) + 1}" if syntax["place"] else ""
        raise ConfigError(f"the query has a mistake{place}; docs/pipeline-file.md has examples")
    raise mapped(reply, "FT.…")


def search_command(client: Any, *arguments: Any) -> Any:
    """The reply to a command of the search module.

    Raises:
        IndexMissing, ConfigError, TargetError: as for ``search_reply``.
    """
    try:
        return search_reply(client.execute_command(*arguments))
    except driver.ResponseError as error:
        return search_reply(error)
    except (driver.RedisError, OSError) as error:
        raise mapped(error, str(arguments[0])) from None
