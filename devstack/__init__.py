"""The embedded real servers for tests, demo and benchmarks: no Docker, no root needed.

The public names are here; `python -m devstack up` is the same from a shell.
"""

from devstack.errors import DevstackError, NotInstalledError, ServerStartError
from devstack.mariadb import MariaDBServer
from devstack.mongodb import MongoServer
from devstack.postgres import PostgresServer
from devstack.prefect_server import PrefectServer
from devstack.redis_server import RedisServer
from devstack.server import Server
from devstack.services import ALL, DATABASES, ServiceName
from devstack.stack import Stack

__all__ = [
    "ALL",
    "DATABASES",
    "DevstackError",
    "MariaDBServer",
    "MongoServer",
    "NotInstalledError",
    "PostgresServer",
    "PrefectServer",
    "RedisServer",
    "Server",
    "ServerStartError",
    "ServiceName",
    "Stack",
]
