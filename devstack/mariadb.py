"""MariaDB as the distribution packages it: there is no wheel, so it is optional."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from devstack.errors import NotInstalledError
from devstack.folders import private_folder, remove_tree
from devstack.ports import HOST
from devstack.server import Server

VARIABLE = "PREFETCH_DEV_MARIADB_URL"
ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin")
ASK_SECONDS = 1.0
PROTOCOL = 10  # first byte of the greeting; an error packet has 255
LOG_SIZE = "--innodb-log-file-size=16M"  # the default takes 96 MB of disk at once


@dataclass(eq=False, kw_only=True)
class MariaDBServer(Server):
    """A MariaDB server: user `root`, no password, utf8mb4."""

    name: ClassVar[str] = "mariadb"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@{HOST}:{self.port}/"

    def environ(self) -> dict[str, str]:
        # In the common folder, each starting server removes what it takes for left over: also the
        # tables that another one is just at work on.
        return {**super().environ(), "TMPDIR": str(private_folder(self._temporary))}

    def discard_data(self) -> None:
        super().discard_data()
        remove_tree(self._temporary)

    def create_data(self) -> None:
        install = _program("mariadb-install-db")
        login = "--auth-root-authentication-method=normal"
        # Relative to the folder that it runs in: the script can't take a path with spaces.
        data = f"--datadir=./{self.data.name}"
        self.run(install, "--no-defaults", *_user(), login, "--skip-test-db", LOG_SIZE, data)

    def command(self) -> list[str]:
        _program("mariadb-install-db")
        command = [_program("mariadbd"), "--no-defaults", f"--datadir={self.data}", *_user()]
        command += [f"--bind-address={HOST}", f"--port={self.port}", "--skip-name-resolve"]
        # Relative to the data folder: a socket's path may have only 107 characters.
        command += ["--socket=my.sock", f"--pid-file={self.data / 'pid'}"]
        command += ["--character-set-server=utf8mb4", LOG_SIZE]
        # 2: a commit reaches the kernel, so that a kill -9 loses none; a power cut may.
        command += ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"]
        return [*command, "--innodb-doublewrite=0"]

    def is_ready(self) -> bool:
        with socket.create_connection((HOST, self.port), ASK_SECONDS) as connection:
            greeting = connection.recv(5)
        return len(greeting) == 5 and greeting[4] == PROTOCOL

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"


def _user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _program(name: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), *ADMIN_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        raise NotInstalledError(
            f"{name} is not installed: run 'apt-get install --no-install-recommends "
            f"mariadb-server', or set {VARIABLE} to a server of your own"
        )
    return found
