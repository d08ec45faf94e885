"""Every kind of source, and what makes its connector."""

from __future__ import annotations

from connectors.base import Connector, Factory
from connectors.mongodb import MongoConnector
from connectors.sql import sql_connector
from core.errors import ConfigError
from core.pipeline import Source

CONNECTORS: dict[str, Factory] = {
    "sql": sql_connector,
    "mongodb": MongoConnector,
}


def connector(name: str, source: Source) -> Connector:
    """The connector for a source of the pipeline file.

    Raises:
        ConfigError: the kind or the URL is unknown.
    """
    if source.kind not in CONNECTORS:
        known = ", ".join(sorted(CONNECTORS))
        raise ConfigError(f"source {name}: unknown kind {source.kind!r}; known are {known}")
    return CONNECTORS[source.kind](name, source)
