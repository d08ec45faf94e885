"""SQL sources: which connector reads the database that a URL names."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from connectors.base import Connector
from connectors.postgres import PostgresConnector
from connectors.sql_rows import RowsConnector
from core.errors import ConfigError
from core.pipeline import Source

_ROWS = ("mysql", "mariadb", "sqlite")


def sql_connector(name: str, source: Source) -> Connector:
    """The connector for an SQLAlchemy URL; PostgreSQL is always read through psycopg.

    Raises:
        ConfigError: the URL is none, or names a database that is not supported.
    """
    url = _url(name, source)
    backend = url.get_backend_name()
    if backend == "postgresql":
        return PostgresConnector(name, source, url)
    if backend in _ROWS:
        return RowsConnector(name, source, url)
    raise ConfigError(
        f"source {name}: no connector for {backend}; there are postgresql, {', '.join(_ROWS)}"
    )


def _url(name: str, source: Source) -> URL:
    try:
        url = make_url(source.url.get_secret_value())
    except (ArgumentError, ValueError):
        raise ConfigError(f"source {name}: the URL is not valid") from None
    return url.set(database=source.database) if source.database else url
