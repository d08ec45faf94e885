"""What the errors of MariaDB, MySQL and SQLite mean for the caller; no text gets through."""

from __future__ import annotations

import ssl

from core.errors import (
    SourceConflict,
    SourceDenied,
    SourceDrift,
    SourceError,
    SourceUnavailable,
)

_MYSQL: dict[int, tuple[type[SourceError], str]] = {
    1044: (SourceDenied, "no grant on the database"),
    1045: (SourceDenied, "wrong user or password"),
    1698: (SourceDenied, "wrong user or password"),
    1142: (SourceDenied, "no grant on the table"),
    1143: (SourceDenied, "no grant on a column"),
    1049: (SourceDrift, "the database does not exist"),
    1054: (SourceDrift, "a column does not exist"),
    1146: (SourceDrift, "the table does not exist"),
    1213: (SourceConflict, "a deadlock: the transaction is gone"),
    1412: (SourceConflict, "a table was changed: the snapshot can't read it any more"),
    1205: (SourceUnavailable, "waited too long for a lock"),
    1969: (SourceUnavailable, "the statement took too long"),
    3024: (SourceUnavailable, "the statement took too long"),
    1040: (SourceUnavailable, "the server has no connection left"),
    1927: (SourceUnavailable, "the server ended the connection"),
    2003: (SourceUnavailable, "can't connect to the server"),
    2006: (SourceUnavailable, "the server has gone away"),
    2013: (SourceUnavailable, "the connection was lost"),
    2026: (SourceDenied, "TLS: the server has none"),
}


def meaning(source: str, dataset: str | None, error: BaseException) -> SourceError:
    """The error of core that an error of a driver (or of SQLAlchemy around it) means."""
    inner = getattr(error, "orig", None) or error
    if isinstance(getattr(inner, "original_exception", None), ssl.SSLCertVerificationError):
        return SourceDenied(source, "TLS: the certificate was refused", dataset)
    number = inner.args[0] if inner.args and isinstance(inner.args[0], int) else None
    if number in _MYSQL:
        kind, text = _MYSQL[number]
        return kind(source, f"{text} (error {number})", dataset)
    if number is not None:
        return SourceUnavailable(source, f"the server refused (error {number})", dataset)
    code = getattr(inner, "sqlite_errorname", "")
    if code in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return SourceUnavailable(source, "the database is locked", dataset)
    if code == "SQLITE_CANTOPEN":
        return SourceUnavailable(source, "the database file can't be opened", dataset)
    if code == "SQLITE_ERROR":
        return SourceDrift(source, "a table or a column does not exist", dataset)
    told = f" ({code})" if code else ""
    return SourceUnavailable(source, f"{type(inner).__name__} from the driver{told}", dataset)
