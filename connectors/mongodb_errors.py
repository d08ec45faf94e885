"""What PyMongo's errors mean for the caller; no text of the server gets through."""

from __future__ import annotations

from pymongo.errors import (
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from core.errors import (
    SourceConflict,
    SourceDenied,
    SourceDrift,
    SourceError,
    SourceUnavailable,
)
from core.pipeline import Source

CODES: dict[int, tuple[type[SourceError], str]] = {
    13: (SourceDenied, "no grant on what is read"),
    18: (SourceDenied, "the user or the password was refused"),
    8000: (SourceDenied, "the user or the password was refused"),
    26: (SourceDrift, "the collection is not there"),
    73: (SourceDrift, "the name of the collection is not valid"),
    43: (SourceUnavailable, "the server closed the cursor"),
    237: (SourceUnavailable, "the server closed the cursor"),
    11601: (SourceUnavailable, "the server stopped the read"),
    239: (SourceConflict, "the snapshot is too old for the server's history window"),
    246: (SourceConflict, "the snapshot is not available"),
}
"""By MongoDB's error code (src/mongo/base/error_codes.yml)."""

_TLS = {
    "CERTIFICATE_VERIFY_FAILED": "TLS: the certificate was refused",
    "IP address mismatch": "TLS: the certificate was refused",
    "Hostname mismatch": "TLS: the certificate was refused",
    "SSL handshake failed": "TLS: no agreement with the server",
}
"""What the driver's text holds where no server could be chosen because of TLS."""


def translated(
    source: str, limits: Source, dataset: str | None, error: PyMongoError
) -> SourceError:
    """The error for the caller."""
    if isinstance(error, ExecutionTimeout):
        limit = f"the read took longer than {limits.statement_timeout_s:g} s"
        return SourceUnavailable(source, f"{limit} (code {error.code})", dataset)
    if isinstance(error, OperationFailure) and error.code is not None:
        kind, meaning = CODES.get(error.code, (SourceUnavailable, "the server failed"))
        return kind(source, f"{meaning} (code {error.code})", dataset)
    if isinstance(error, ServerSelectionTimeoutError):
        for sign, meaning in _TLS.items():
            if sign in str(error):
                return SourceDenied(source, meaning, dataset)
        limit = f"{limits.connect_timeout_s:g} s"
        return SourceUnavailable(source, f"no server to read from within {limit}", dataset)
    if isinstance(error, NetworkTimeout):
        return SourceUnavailable(source, "the server did not answer in time", dataset)
    return SourceUnavailable(source, "the connection was lost", dataset)
