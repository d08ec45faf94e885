"""What psycopg's errors mean for the caller; no text of the server gets through."""

from __future__ import annotations

import psycopg

from connectors.relations import named
from core.errors import (
    ConfigError,
    PrefetchError,
    SourceConflict,
    SourceDenied,
    SourceDrift,
    SourceError,
    SourceUnavailable,
)
from core.pipeline import Source
from core.records import Query

CONNECT_PROBLEMS = (
    ("too many", SourceUnavailable, "the server has no connection left"),
    ("slots are reserved", SourceUnavailable, "the server has no connection left"),
    ("authentication failed", SourceDenied, "the user or the password was refused"),
    ("no password supplied", SourceDenied, "a password is needed"),
    ("role ", SourceDenied, "the user does not exist or may not log in"),
    ("pg_hba.conf", SourceDenied, "the server's pg_hba.conf does not let this user in"),
    ("permission denied", SourceDenied, "no grant to connect to the database"),
    ("database ", SourceDenied, "the database does not exist or takes no connections"),
    ("certificate", SourceDenied, "TLS: the certificate was refused"),
    ("SSL", SourceDenied, "TLS: no agreement with the server"),
    ("refused", SourceUnavailable, "connection refused"),
    ("timeout", SourceUnavailable, "no connection in time"),
    ("could not translate host", SourceUnavailable, "the host's name is unknown"),
    ("resolve", SourceUnavailable, "the host's name is unknown"),
    ("starting up", SourceUnavailable, "the server is starting up"),
)
"""Failed connections carry no SQLSTATE, only libpq's text: what it must hold to mean what."""

OTHER_STATES: dict[str, tuple[type[SourceError], str]] = {
    "28": (SourceDenied, "the user or the password was refused"),
    "40": (SourceConflict, "the snapshot is gone: a conflict with the server's other work"),
    "3D": (SourceDrift, "the database does not exist"),
    "3F": (SourceDrift, "the schema does not exist"),
    "42": (SourceDrift, "the server does not know what is asked for"),
    "57": (SourceUnavailable, "the server ended the connection"),
    "08": (SourceUnavailable, "the connection was lost"),
    "53": (SourceUnavailable, "the server lacks resources"),
    "22": (SourceError, "the server could not compute or print a value"),
}
"""By class of SQLSTATE (PostgreSQL's appendix A)."""


def connect_error(source: str, place: str, error: Exception) -> SourceError:
    """The error of a failed connection to ``place`` (host and port)."""
    text = str(error)
    for part, kind, meaning in CONNECT_PROBLEMS:
        if part in text:
            return kind(source, f"{meaning} ({place})")
    return SourceUnavailable(source, f"no connection to {place}")


def statement_error(
    source: str, limits: Source, query: Query | None, error: psycopg.Error
) -> PrefetchError:
    """The error of a failed statement."""
    dataset = query.dataset if query else None
    state = error.sqlstate
    if state is None:
        return SourceUnavailable(source, "the connection was lost", dataset)
    what = named(query) if query else "the session"
    if state == "42501":
        return SourceDenied(source, f"no grant on {what} (SQLSTATE {state})", dataset)
    if state == "42601" and query and query.text:
        where = f"source {source}, dataset {dataset}"
        return ConfigError(f"{where}: the query is not valid SQL (SQLSTATE {state})")
    if state == "57014":
        limit = f"the time-out is {limits.statement_timeout_s:g} s"
        return SourceUnavailable(source, f"the read was cancelled; {limit} (57014)", dataset)
    if state == "55P03":
        limit = f"no lock on {what} within {limits.lock_timeout_s:g} s"
        return SourceUnavailable(source, f"{limit} (SQLSTATE {state})", dataset)
    kind, meaning = OTHER_STATES.get(state[:2], (SourceUnavailable, "the server failed"))
    return kind(source, f"{meaning} (SQLSTATE {state})", dataset)
