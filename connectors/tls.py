"""TLS to sources: whoever asks for it gets it verified, certificate and host name, or nothing.

Options that encrypt for whoever answers are refused: they look safe and are not.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy.engine import URL

from core.errors import ConfigError

_OFF = frozenset({"false", "0", "no", "off", ""})
_MYSQL = ("ssl", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher")
_MYSQL_WEAKER = ("ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity")
_MONGODB_WEAKER = (
    "tlsinsecure",
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "ssl_cert_reqs",
    "ssl_match_hostname",
)


def check_postgres(source: str, url: URL) -> None:
    """Checks what a PostgreSQL URL says about TLS.

    Raises:
        ConfigError: a mode that does not verify the server, or not its name.
    """
    mode = url.query.get("sslmode", "verify-full")
    if mode not in ("verify-full", "disable"):
        raise ConfigError(
            f"source {source}: this sslmode lets anybody answer in the server's place: write "
            "sslmode=verify-full with sslrootcert=<file>, or sslrootcert=system; or disable"
        )


def mysql_tls(source: str, url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without its options for TLS, and what they mean as arguments for PyMySQL.

    Raises:
        ConfigError: options that do not verify the server, or files that can't be used.
    """
    given = {name: str(url.query[name]) for name in (*_MYSQL, *_MYSQL_WEAKER) if name in url.query}
    if any(given.get(name, "true").lower() in _OFF for name in _MYSQL_WEAKER):
        raise ConfigError(
            f"source {source}: TLS is always verified: leave {', '.join(_MYSQL_WEAKER)} out, and "
            "name the CA with ssl_ca=<file> where it is none of the system's"
        )
    rest = url.difference_update_query(given)
    if not given or given.get("ssl", "true").lower() in _OFF:
        return rest, {}
    try:
        context = ssl.create_default_context(
            cafile=given.get("ssl_ca"), capath=given.get("ssl_capath")
        )
        # As PyMySQL has it: the CAs that the servers make themselves lack an extension.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if "ssl_cert" in given:
            context.load_cert_chain(given["ssl_cert"], given.get("ssl_key"))
        if "ssl_cipher" in given:
            context.set_ciphers(given["ssl_cipher"])
    except (OSError, ssl.SSLError):
        files = "ssl_ca, ssl_capath, ssl_cert or ssl_key"
        raise ConfigError(
            f"source {source}: {files} names no file that can be used for TLS"
        ) from None
    return rest, {"ssl": context}


def check_mongodb(source: str, url: str) -> None:
    """Checks what a MongoDB URL says about TLS.

    Raises:
        ConfigError: options that do not verify the server.
    """
    options = {name.lower() for name, value in parse_qsl(url.partition("?")[2]) if value != "false"}
    if weaker := sorted(options & set(_MONGODB_WEAKER)):
        raise ConfigError(
            f"source {source}: TLS is always verified: leave {weaker[0]} out, and name the CA with "
            "tlsCAFile=<file> where it is none of the system's"
        )
