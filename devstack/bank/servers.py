"""The servers that hold the demo bank, and the databases that it makes there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

from devstack import mariadb, mongodb, postgres
from devstack.errors import DevstackError

SOURCES = ("core", "cards", "lending", "engagement")


@dataclass(frozen=True)
class Servers:
    """Where the product lines go; URLs of databases, by source. They may hold passwords.

    Attributes:
        urls: as SQLAlchemy and the pipeline file want them.
        admins: of the servers, to make the databases through; not for SQLite.
    """

    urls: Mapping[str, str]
    admins: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Servers({', '.join(self.urls)})"

    @property
    def lines(self) -> dict[str, str]:
        """The environment variables that the pipeline file needs."""
        return {f"DEMO_{source.upper()}_URL": url for source, url in self.urls.items()}

    @property
    def lends_in_sqlite(self) -> bool:
        """Whether lending is a file, as there is no MariaDB."""
        return "lending" not in self.admins


def servers_of(
    environ: Mapping[str, str] = os.environ, folder: Path = Path(), prefix: str = "demo"
) -> Servers:
    """The servers that the environment names, as `python -m devstack up` prints them.

    Args:
        environ: with the URLs of the servers.
        folder: for lending's file, where no MariaDB is named.
        prefix: of the databases' names.

    Raises:
        DevstackError: PostgreSQL or MongoDB are not named, or a URL is none.
    """
    missing = [name for name in (postgres.VARIABLE, mongodb.VARIABLE) if not environ.get(name)]
    if missing:
        raise DevstackError(
            f"{' and '.join(missing)} must name a server: run 'python -m devstack up' and take "
            "over what it prints"
        )
    try:
        base = sa.engine.make_url(environ[postgres.VARIABLE])
        urls = {
            "core": _named(base, f"{prefix}_core"),
            "cards": _named(base, f"{prefix}_cards"),
        }
        admins = {"core": _named(base, base.database), "cards": _named(base, base.database)}
        if environ.get(mariadb.VARIABLE):
            server = sa.engine.make_url(environ[mariadb.VARIABLE])
            urls["lending"], admins["lending"] = (
                _named(server, f"{prefix}_lending"),
                _named(server, None),
            )
        else:
            urls["lending"] = f"sqlite:///{folder.absolute() / f'{prefix}_lending.sqlite'}"
    except (sa.exc.ArgumentError, ValueError):
        raise DevstackError("the URL of PostgreSQL or MariaDB is not valid") from None
    urls["engagement"] = _mongo(environ[mongodb.VARIABLE], f"{prefix}_engagement")
    admins["engagement"] = environ[mongodb.VARIABLE]
    return Servers(urls, admins)


def _named(url: sa.engine.URL, database: str | None) -> str:
    return url.set(database=database).render_as_string(hide_password=False)


def _mongo(url: str, database: str) -> str:
    """The URL with another database; who logs in, still does so where he did."""
    try:
        parsed = parse_uri(url, validate=False, connect_timeout=0.0)
    except (InvalidURI, ConfigurationError):
        raise DevstackError("the URL of MongoDB is not valid") from None
    place, _, options = url.partition("?")
    scheme, _, rest = place.partition("://")
    if parsed["username"] and "authsource=" not in options.lower():
        login = f"authSource={parsed['database'] or 'admin'}"
        options = f"{options}&{login}" if options else login
    return f"{scheme}://{rest.partition('/')[0]}/{database}" + (f"?{options}" if options else "")
