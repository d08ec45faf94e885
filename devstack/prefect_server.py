"""The Prefect server with its UI, on a port and in a home of its own."""

import http.client
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from devstack.errors import NotInstalledError
from devstack.folders import FILE_MODE, PROJECT, private_folder
from devstack.ports import HOST
from devstack.server import Server

ASK_SECONDS = 5.0
CACHE = PROJECT / ".devstack" / "prefect"
DATABASE = "prefect.db"
RECORDER = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER"


@dataclass(eq=False, kw_only=True)
class PrefectServer(Server):
    """A Prefect server; the UI is at the address without `/api`.

    The first one of all makes an empty database, and keeps it for the others: that takes longer
    than all else.

    Attributes:
        settings: environment variables for the server, over those chosen here.
    """

    name: ClassVar[str] = "prefect"

    timeout: float = 120.0
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/api"

    def environ(self) -> dict[str, str]:
        # The caller's own Prefect settings (profile, address, database) must not leak in.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        chosen = {
            "PREFECT_HOME": str(self.data),
            "PREFECT_SERVER_API_HOST": HOST,
            # Both: `--port` alone leaves the UI calling port 4200.
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_UI_API_URL": self.url,
            "PREFECT_UI_URL": self.url.removesuffix("/api"),  # in the links of alerts
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            # One write per task run would cost 40 ms each.
            f"{RECORDER}_BATCH_SIZE": "100",
            f"{RECORDER}_READ_BATCH_SIZE": "100",
            f"{RECORDER}_FLUSH_INTERVAL": "1",
        }
        return {**kept, **chosen, **self.settings}

    def create_data(self) -> None:
        super().create_data()
        empty = private_folder(CACHE) / f"{version('prefect')}.db"
        if not empty.exists():
            self._make_database(empty)
        shutil.copy(empty, self.data / DATABASE)

    def _make_database(self, empty: Path) -> None:
        with tempfile.TemporaryDirectory(dir=empty.parent) as home:
            upgrade = (sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes")
            self.run(*upgrade, environ={"PREFECT_HOME": home})
            made = Path(home) / DATABASE
            with closing(sqlite3.connect(made)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            made.chmod(FILE_MODE)
            made.replace(empty)

    def command(self) -> list[str]:
        if find_spec("prefect") is None:
            raise NotInstalledError(
                "prefect is not installed: run 'pip install prefect', "
                "or set PREFECT_API_URL to a server of your own"
            )
        return [sys.executable, "-m", "prefect", "server", "start"]

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ASK_SECONDS)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.client.OK
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
