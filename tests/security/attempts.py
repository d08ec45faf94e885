"""Ways to get at a password hash that a user of Redis must not see, each really tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from core.document import Meta, digest, sealed
from store.client import client_of
from store.index import create
from store.index_schema import IndexSchema
from store.keys import Keys
from store.reader import reading_of
from tests.security import grants, matrix

HASH = "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5Y2FuYXJ5$Q0FOQVJZLU9GLUEtSEFTSA"
OPEN = "canary-of-a-profile"
USER = "7"
SPYING = "idx:demo_bank:spy"
"""An index over credentials, which nobody should ever make: here root has made it."""

_PATHS = ("$", "$.auth.password_hash", "$..password_hash", "$..*", ".", "auth.password_hash")


@dataclass
class Tries:
    """What came of the attempts; ``seen`` are those that showed what they must not."""

    made: int = 0
    refused: int = 0
    seen: list[str] = field(default_factory=list)


def prepare(url: str) -> None:
    """A user with a profile and a credential, an index, the users of the file."""
    reading = reading_of(str(grants.ROOT / "examples/demo_bank/pipeline.yaml"))
    keys = Keys(reading.profile)
    profile = {"user_id": 7, "identity": {"email": "ada@bank.example", "name": OPEN}}
    with client_of(url) as admin:
        for key, fields in (
            (keys.profile(USER), profile),
            (keys.credential(USER), {"user_id": 7, "auth": {"password_hash": HASH}}),
        ):
            body = orjson.dumps(fields)[:-1]
            text = sealed(body, Meta(1, 5, digest(body, 1)))
            admin.execute_command("JSON.SET", key, "$", text)
        create(admin, keys, IndexSchema(reading))
        spied = ("SCHEMA", "$.auth.password_hash", "AS", "email", "TAG", "SORTABLE")
        admin.execute_command(
            "FT.CREATE", SPYING, "ON", "JSON", "PREFIX", "1", "credential:", *spied
        )
        admin.execute_command("EVAL", "return 1", "0")
    grants.apply_redis(url)


def tried(url: str, user: str, canary: str) -> Tries:
    """Makes all attempts as a user; ``canary`` is what no answer may hold."""
    made = Tries()
    pool = redis.ConnectionPool.from_url(grants.as_user(url, user), socket_timeout=5)
    connection = pool.make_connection()
    for commands in _attempts():
        made.made += 1
        told, refused = _answers(connection, commands)
        made.refused += refused
        if canary in told:
            made.seen.append(f"{user}: {' ; '.join(' '.join(words) for words in commands)}")
        if len(commands) > 1:
            connection.disconnect()  # it may be somebody else's by now
    connection.disconnect()
    return made


def _answers(connection: Any, commands: list[tuple[str, ...]]) -> tuple[str, bool]:
    """All that a connection is told, errors too; whether one of them was a refusal."""
    told = []
    for words in commands:
        try:
            connection.send_command(*words)
            told.append(repr(connection.read_response()))
        except redis.RedisError as error:
            told.append(f"{type(error).__name__} {error}")
    said = " ".join(told)
    return said, bool(re.search(r"NoPermission|NOPERM|Authentication|NOAUTH|WRONGPASS", said))


def _attempts() -> Iterator[list[tuple[str, ...]]]:
    """Commands by connection: what is tried there, one after the other."""
    for alone in (*_searching(), *_reading(), *_looking(), *_breaking_out()):
        yield [alone]
    for inner in (("json.get", "credential:7"), ("json.mget", "profile:7", "credential:7", "$")):
        yield [("multi",), inner, ("exec",)]
        yield [("reset",), inner]
        yield [("auth", "default", ""), inner]
        yield [("hello", "3", "AUTH", "default", ""), inner]
        yield [("hello", "2", "AUTH", "loader", ""), inner]


def _searching() -> Iterator[tuple[str, ...]]:
    for index in ("idx:demo_bank", SPYING, "spy", "credential:"):
        yield ("ft.search", index, "*")
        for path in _PATHS:
            yield ("ft.search", index, "*", "RETURN", "1", path)
            yield ("ft.search", index, "*", "RETURN", "3", path, "AS", "x")
            yield ("ft.aggregate", index, "*", "LOAD", "1", path)
            yield ("ft.aggregate", index, "*", "LOAD", "3", path, "AS", "x")
        yield ("ft.search", index, "*", "INKEYS", "1", "credential:7")
        yield ("ft.search", index, "*", "SORTBY", "email", "WITHSORTKEYS")
        yield ("ft.search", index, "*", "WITHPAYLOADS", "EXPLAINSCORE", "WITHSCORES")
        yield ("ft.search", index, "*", "SUMMARIZE", "HIGHLIGHT")
        yield ("ft.search", index, "@email:{*}", "DIALECT", "3", "RETURN", "1", "email")
        yield ("ft.aggregate", index, "*", "LOAD", "*")
        yield ("ft.aggregate", index, "*", "GROUPBY", "1", "@email")
        yield ("ft.aggregate", index, "*", "WITHCURSOR", "LOAD", "*")
        yield ("ft.profile", index, "SEARCH", "QUERY", "*")
        yield ("ft.tagvals", index, "email")
        yield ("ft.get", index, "credential:7")
        yield ("ft.mget", index, "profile:7", "credential:7")
        yield ("ft.explain", index, "*")
        yield ("ft.spellcheck", index, "argon")
        yield ("ft.info", index)
        yield ("ft.debug", "DUMP_TAGIDX", index, "email")
        yield ("ft.debug", "DUMP_TERMS", index)
        yield ("ft.alter", index, "SCHEMA", "ADD", "$.auth.password_hash", "AS", "h", "TAG")
        yield ("ft.aliasupdate", "idx:demo_bank", index)
        yield ("ft.aliasadd", "idx:demo_bank", SPYING)
    schema = ("SCHEMA", "$.auth.password_hash", "AS", "h", "TAG")
    for index in ("idx:mine", "idx:demo_bank", "profile:7"):
        yield ("ft.create", index, "ON", "JSON", "PREFIX", "1", "credential:", *schema)
    yield ("ft._list",)
    yield ("ft.cursor", "READ", "idx:demo_bank", "1")
    yield ("ft.config", "SET", "MINPREFIX", "1")


def _reading() -> Iterator[tuple[str, ...]]:
    for path in _PATHS:
        yield ("json.get", "credential:7", path)
        yield ("json.get", "profile:7", path)
    yield ("json.get", "profile:7", "credential:7")
    # Of JSON.MGET, Redis checks the first key only: nobody who must not see all may have it.
    yield ("json.mget", "credential:7", "$")
    yield ("json.mget", "profile:7", "credential:7", "$")
    yield ("mget", "prefetch:demo_bank:floor:0", "credential:7")
    yield ("mget", "credential:7")
    yield ("zrevrangebyscore", "credential:7", "+inf", "-inf")
    for command in ("json.resp", "json.objkeys", "json.type", "json.arrlen", "json.strlen"):
        yield (command, "credential:7", "$..*")
    yield ("json.debug", "MEMORY", "credential:7")
    yield ("json.merge", "profile:7", "$", '{"a":1}')
    yield ("json.set", "profile:7", "$.a", "1")
    yield ("json.mset", "profile:7", "$", "{}", "credential:7", "$", "{}")
    yield ("json.strappend", "credential:7", "$.auth.password_hash", '""')
    yield ("json.numincrby", "credential:7", "$.user_id", "0")
    yield ("json.arrpop", "credential:7", "$..*")
    for command in ("dump", "get", "strlen", "type", "getdel", "getex", "hgetall", "smembers"):
        yield (command, "credential:7")
    yield ("getrange", "credential:7", "0", "-1")
    yield ("substr", "credential:7", "0", "-1")
    yield ("object", "encoding", "credential:7")
    yield ("copy", "credential:7", "profile:8")
    yield ("rename", "credential:7", "profile:8")
    yield ("restore", "profile:8", "0", "x")
    yield ("migrate", "127.0.0.1", "1", "credential:7", "0", "1")
    for command in ("sort", "sort_ro"):
        yield (command, "profile:7", "BY", "nosort", "GET", "credential:*")
    yield ("lcs", "profile:7", "credential:7")


def _looking() -> Iterator[tuple[str, ...]]:
    yield ("scan", "0")
    yield ("keys", "*")
    yield ("randomkey",)
    yield ("monitor",)
    yield ("slowlog", "get", "100")
    yield ("client", "list")
    yield ("latency", "doctor")
    yield ("memory", "usage", "credential:7")
    yield ("debug", "object", "credential:7")
    for words in (("list",), ("getuser", "loader"), ("getuser", "default"), ("log",)):
        yield ("acl", *words)
    yield ("config", "get", "requirepass")
    yield ("psubscribe", "*")
    yield ("sync",)
    yield ("psync", "?", "-1")


def _breaking_out() -> Iterator[tuple[str, ...]]:
    for call in ('redis.call("json.get", KEYS[1])', 'redis.pcall("dump", "credential:7")'):
        yield ("eval", f"return {call}", "1", "credential:7")
        yield ("eval_ro", f"return {call}", "1", "profile:7")
        yield ("eval", f"return {call}", "0")
        yield ("script", "load", f"return {call}")
    yield ("evalsha", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0")
    yield ("fcall", "f", "1", "credential:7")
    yield ("function", "load", "#!lua name=f\nredis.register_function('f', redis.call)")
    yield ("acl", "setuser", "app_session", "~*", "+@all")
    yield ("acl", "setuser", "operator", "allkeys", "allcommands")
    yield ("config", "set", "requirepass", "")
    yield ("config", "set", "dir", "/tmp")
    yield ("module", "load", "/nowhere.so")
    yield ("replicaof", "127.0.0.1", "1")
    yield ("save",)
    yield ("bgsave",)
    yield ("flushall",)
    yield ("select", "1")
    yield ("swapdb", "0", "1")


def watched(url: str) -> dict[str, Tries]:
    """By user, what came of it: who may see no hash, and who may see no profile."""
    root = url.replace(f":{matrix.OWN}@", f"default:{matrix.OWN}@")
    found = {user: tried(root, user, HASH) for user in ("app_session", "operator")}
    found["app_login"] = tried(root, "app_login", OPEN)
    return found
