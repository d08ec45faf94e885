"""Servers that speak TLS, and what asks them as the product does."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import redis
import sqlalchemy as sa

from connectors.mongodb import MongoConnector
from connectors.sql import sql_connector
from core.pipeline import Source
from devstack import (
    MariaDBServer,
    MongoServer,
    NotInstalledError,
    PostgresServer,
    RedisServer,
    Server,
    Stack,
)
from devstack.ports import PortLease
from store.client import Timeouts, client_of
from store.driver_errors import driver_errors
from tests.programs import started, url_of_mariadb
from tests.security.authority import HOST, Authority

DEBIAN = Path("/usr/lib/postgresql")


class Engine(ABC):
    """A server with a good certificate, at the beginning."""

    secure: str
    """Options of a URL for TLS; ``{ca}`` stands for the CA's file."""
    bare: str
    """Options for TLS that name no CA."""
    weak: tuple[str, ...]
    """Options for TLS that don't verify."""
    server: Server

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder, self.authority = folder, authority
        self.crt, self.key = (folder / "server.crt", folder / "server.key")
        self.install(expired=False)

    def install(self, *, expired: bool) -> None:
        """Puts a certificate where the server looks for one."""
        made = self.authority.issue("expired" if expired else "good", expired=expired)
        for source, target in zip(made, (self.crt, self.key), strict=True):
            target.touch(0o600)
            shutil.copyfile(source, target)

    @abstractmethod
    def url(self, options: str, host: str = HOST) -> str:
        """The server's URL with options."""

    @abstractmethod
    def plain_url(self, stack: Stack, options: str) -> str:
        """The URL of a server without TLS."""

    @abstractmethod
    def ask(self, url: str) -> bool:
        """Connects as the product does; says whether that was over TLS."""

    def close(self) -> None:
        """Ends the server."""
        self.server.close()

    @abstractmethod
    def expired(self) -> AbstractContextManager[str]:
        """Where a server with an expired certificate listens, meanwhile."""


class _Reloading(Engine):
    """A server that reads its certificate again when it is asked to."""

    @contextmanager
    def expired(self) -> Iterator[str]:
        self.install(expired=True)
        self.reload()
        yield self.url(self.secure)
        self.install(expired=False)
        self.reload()

    @abstractmethod
    def reload(self) -> None:
        """Lets the server read its certificate again."""


class Redis(_Reloading):
    secure, bare = "?ssl_ca_certs={ca}", ""
    weak = ("?ssl_cert_reqs=none", "?ssl_check_hostname=false")

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, authority)
        self.lease = PortLease()
        options = ["--tls-port", str(self.lease.port), "--tls-auth-clients", "no"]
        options += ["--tls-cert-file", str(self.crt), "--tls-key-file", str(self.key)]
        options += ["--tls-ca-cert-file", str(authority.file)]
        self.server = RedisServer(folder / "redis", extra_args=options).start()

    def url(self, options: str, host: str = HOST) -> str:
        return f"rediss://{host}:{self.lease.port}/0{options}"

    def plain_url(self, stack: Stack, options: str) -> str:
        return stack.urls["redis"].replace("redis://", "rediss://") + options

    def close(self) -> None:
        super().close()
        self.lease.release()

    def ask(self, url: str) -> bool:
        with client_of(url, Timeouts(1, 1)) as client, driver_errors("PING"):
            client.ping()
            pool = client.connection_pool
            return isinstance(pool.get_connection(), redis.SSLConnection)

    def reload(self) -> None:
        with redis.Redis.from_url(self.server.url) as admin:
            admin.config_set("tls-cert-file", str(self.crt), "tls-key-file", str(self.key))


class _Source(Engine):
    def opened(self, url: str) -> Any:
        """An open connector."""
        is_mongo = url.startswith("mongodb")
        source = Source(
            kind="mongodb" if is_mongo else "sql",
            url=url,
            database="bank" if is_mongo else None,
            connect_timeout_s=1,
        )
        made = MongoConnector("s", source) if is_mongo else sql_connector("s", source)
        try:
            made.open()
        except BaseException:
            made.close()
            raise
        return made


class _DebianPostgres(PostgresServer):
    def program(self, name: str) -> Path:
        found = sorted(DEBIAN.glob(f"*/bin/{name}"))
        if not found:
            raise NotInstalledError("Debian's postgresql is not installed: devstack/debian.sh")
        return found[-1]


class Postgres(_Source, _Reloading):
    secure, bare = "?sslmode=verify-full&sslrootcert={ca}", "?sslmode=verify-full"
    weak = tuple(f"?sslmode={mode}" for mode in ("allow", "prefer", "require", "verify-ca"))

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, authority)
        settings = {"ssl": "on", "ssl_cert_file": str(self.crt), "ssl_key_file": str(self.key)}
        self.server = started(_DebianPostgres(folder / "postgres", settings=settings))

    def url(self, options: str, host: str = HOST) -> str:
        return self.server.url.replace(HOST, host) + options

    def plain_url(self, stack: Stack, options: str) -> str:
        return stack.urls["postgres"] + options

    def ask(self, url: str) -> bool:
        made = self.opened(url)
        asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        found = made._connection.execute(asked).fetchone() == (True,)
        made.close()
        return found

    def reload(self) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as admin:
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("SELECT pg_sleep(0.3)")  # the signal is still on its way


class MariaDB(_Source, _Reloading):
    secure, bare = "?ssl_ca={ca}", "?ssl=true"
    weak = tuple(
        f"?ssl_ca={{ca}}&ssl_{name}=false"
        for name in ("check_hostname", "verify_cert", "verify_identity")
    )

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, authority)
        options = [f"--ssl-cert={self.crt}", f"--ssl-key={self.key}", f"--ssl-ca={authority.file}"]
        self.server = started(MariaDBServer(folder / "mariadb", extra_args=options))

    def url(self, options: str, host: str = HOST) -> str:
        return self.server.url.replace(HOST, host) + "mysql" + options

    def plain_url(self, stack: Stack, options: str) -> str:
        return url_of_mariadb(stack) + "mysql" + options

    def ask(self, url: str) -> bool:
        made = self.opened(url)
        asked = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
        found = bool(made._connection.exec_driver_sql(asked).one()[1])
        made.close()
        return found

    def reload(self) -> None:
        with sa.create_engine(self.server.url, poolclass=sa.NullPool).connect() as admin:
            admin.exec_driver_sql("FLUSH SSL")


@dataclass(eq=False, kw_only=True)
class _TlsMongo(MongoServer):
    ca: Path

    def _direct(self) -> pymongo.MongoClient[dict[str, Any]]:
        options = {"directConnection": True, "serverSelectionTimeoutMS": 1000}
        return pymongo.MongoClient(HOST, self.port, tls=True, tlsCAFile=str(self.ca), **options)


class MongoDB(_Source):
    secure, bare = "?tls=true&tlsCAFile={ca}", "?tls=true"
    weak = tuple(
        f"?tls=true&{name}=true"
        for name in ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
    )

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, authority)
        options = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self.key)]
        options += ["--tlsCAFile", str(authority.file)]
        options += ["--tlsAllowConnectionsWithoutCertificates"]
        self.server = _TlsMongo(
            folder / "mongodb", replica_set=None, ca=authority.file, extra_args=options
        ).start()

    def url(self, options: str, host: str = HOST) -> str:
        return f"mongodb://{host}:{self.server.port}/{options}"

    def plain_url(self, stack: Stack, options: str) -> str:
        return stack.urls["mongodb"].partition("?")[0] + options

    def ask(self, url: str) -> bool:
        self.opened(url).close()
        return True  # the server requires it

    @contextmanager
    def expired(self) -> Iterator[str]:
        """Through a front: mongod itself does not start with such a certificate."""
        crt, key = self.authority.issue("expired", expired=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        with socket.create_server((HOST, 0)) as listener:
            threading.Thread(target=_refused, args=(listener, context), daemon=True).start()
            yield f"mongodb://{HOST}:{listener.getsockname()[1]}/{self.secure}"


def _refused(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Shakes hands with whoever comes, until the listener is closed."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            context.wrap_socket(client, server_side=True).close()
        except OSError:
            client.close()


ENGINES: tuple[type[Engine], ...] = (Redis, Postgres, MariaDB, MongoDB)
