"""The Prefect server with its UI, on a port and in a home of its own."""

import http.client
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar

from devstack.errors import NotInstalledError
from devstack.ports import HOST
from devstack.server import Server

ASK_SECONDS = 5.0
RECORDER = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER"


@dataclass(eq=False, kw_only=True)
class PrefectServer(Server):
    """A Prefect server; the UI is at the address without `/api`.

    The first start on an empty home makes the database, which takes about 14 s.

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
