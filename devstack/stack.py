"""All servers as one: started in parallel, stopped together, each replaceable by a URL."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devstack.errors import NotInstalledError
from devstack.proctree import ProcessId
from devstack.server import Server
from devstack.services import ALL, SERVICES, ServiceName

Record = Callable[[ServiceName, ProcessId], None]


@dataclass(frozen=True, eq=False)
class Stack:
    """Running servers and their addresses; as a context manager it closes them.

    Attributes:
        urls: the address of each service, by name; secret where it came from outside.
        servers: those that were started here, to kill, freeze, stop and start again.
        skipped: optional services that are not installed, each with the reason.
    """

    urls: Mapping[ServiceName, str]
    servers: Mapping[ServiceName, Server]
    skipped: Mapping[ServiceName, str]

    def __repr__(self) -> str:
        return f"Stack({', '.join(self.urls)})"

    @classmethod
    def start(
        cls,
        folder: Path,
        services: Sequence[ServiceName] = ALL,
        environ: Mapping[str, str] = os.environ,
        record: Record | None = None,
    ) -> Self:
        """Start the servers and return when all are ready.

        Args:
            folder: for data and logs; created for this user only.
            services: which ones.
            environ: where a URL replaces a server (`SERVICES` has the names).
            record: makes the servers survive this process; called with the identity of
                each before it may run.

        Raises:
            NotInstalledError: a program is missing that is not optional.
            ServerStartError: a server did not start. None is left running.
        """
        given = {name: environ.get(SERVICES[name].variable, "") for name in services}
        servers = {name: _server(name, folder, record) for name in services if not given[name]}
        skipped = _start_all(servers)
        started = {name: server for name, server in servers.items() if name not in skipped}
        urls = {n: given[n] or started[n].url for n in services if n not in skipped}
        return cls(urls=urls, servers=started, skipped=skipped)

    def environ(self) -> dict[str, str]:
        """The addresses as environment variables: what a process of the stack's user needs."""
        return {SERVICES[name].variable: url for name, url in self.urls.items()}

    def close(self) -> None:
        """End the servers started here and remove their data; the logs stay."""
        _close_all(self.servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _server(name: ServiceName, folder: Path, record: Record | None) -> Server:
    tell = None if record is None else lambda process: record(name, process)
    return SERVICES[name].server(folder / name, record=tell)


def _start_all(servers: Mapping[ServiceName, Server]) -> dict[ServiceName, str]:
    """Start in parallel; the optional ones that are not installed, with the reason."""
    skipped: dict[ServiceName, str] = {}
    if not servers:
        return skipped
    with ThreadPoolExecutor(len(servers), thread_name_prefix="devstack-start") as threads:
        try:
            starts = {threads.submit(server.start): name for name, server in servers.items()}
            for start in as_completed(starts):
                try:
                    start.result()
                except NotInstalledError as error:
                    if not SERVICES[starts[start]].optional:
                        raise
                    skipped[starts[start]] = str(error)
        except BaseException:
            # Inside the pool: the starts still waiting see their server end, and give up.
            _close_all(servers)
            raise
    return skipped


def _close_all(servers: Mapping[ServiceName, Server]) -> None:
    if not servers:
        return
    with ThreadPoolExecutor(len(servers), thread_name_prefix="devstack-close") as threads:
        ends = [threads.submit(server.close) for server in servers.values()]
    for end in ends:
        end.result()
