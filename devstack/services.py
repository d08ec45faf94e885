"""The servers of a stack: their names, what replaces them, what starts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from devstack import mariadb, mongodb, postgres, redis_server
from devstack.mariadb import MariaDBServer
from devstack.mongodb import MongoServer
from devstack.postgres import PostgresServer
from devstack.prefect_server import PrefectServer
from devstack.redis_server import RedisServer
from devstack.server import Server

ServiceName = Literal["postgres", "mongodb", "redis", "mariadb", "prefect"]

DATABASES: tuple[ServiceName, ...] = ("postgres", "mongodb", "redis", "mariadb")
ALL: tuple[ServiceName, ...] = (*DATABASES, "prefect")


@dataclass(frozen=True)
class Service:
    """One server of a stack.

    Attributes:
        variable: the environment variable whose URL replaces the server.
        optional: skipped with a note where its program is missing.
    """

    server: type[Server]
    variable: str
    optional: bool = False


SERVICES: Mapping[ServiceName, Service] = {
    "postgres": Service(PostgresServer, postgres.VARIABLE),
    "mongodb": Service(MongoServer, mongodb.VARIABLE),
    "redis": Service(RedisServer, redis_server.VARIABLE),
    "mariadb": Service(MariaDBServer, mariadb.VARIABLE, optional=True),
    "prefect": Service(PrefectServer, "PREFECT_API_URL"),
}
