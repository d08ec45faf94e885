"""The bench's ground: servers of its own, filled with users."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from pymongo import MongoClient

from benchmarks.speed import bank
from benchmarks.speed.prefect_cost import Server
from devstack import Stack
from devstack.folders import PROJECT
from devstack.redis_server import INSTALLED, VARIABLE, WHEEL
from devstack.wheels import wheel_file
from store.client import Client, Timeouts, client_of

CONFIG = PROJECT / "benchmarks/pipeline.yaml"
PROFILES = "profile:*"
_BUCKETS, _USERS_A_BUCKET = 64, 5_000
"""The product's default, and from where on docs/performance.md says to have more."""
_PATIENT = Timeouts(answer_s=300.0)


@dataclass(frozen=True)
class Ground:
    """Where everything is.

    Attributes:
        folder: for this number of users; removed at the end.
        prefect: the Prefect server, as its flow runs cost it.
    """

    stack: Stack
    prefect: Server
    folder: Path
    users: int

    @property
    def environ(self) -> dict[str, str]:
        """The environment of ``prefetch``: none of the caller's own settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PREFETCH_"))}
        return {
            **kept,
            "BENCH_BUCKETS": str(max(_BUCKETS, self.users // _USERS_A_BUCKET)),
            "BENCH_CORE_URL": self.postgresql,
            "BENCH_ENGAGEMENT_URL": self.mongodb,
            "REDIS_URL": self.redis,
            "PREFECT_API_URL": self.prefect.url,
            "PREFETCH_STAGE_DIR": str(self.folder / "stage"),
        }

    @property
    def postgresql(self) -> str:
        """PostgreSQL's address."""
        return self.stack.urls["postgres"]

    @property
    def mongodb(self) -> str:
        """MongoDB's address."""
        return self.stack.urls["mongodb"]

    @property
    def redis(self) -> str:
        """The address of Redis."""
        return self.stack.urls["redis"]

    @property
    def redis_cli(self) -> tuple[list[str], Mapping[str, str]]:
        """The command to which options can be added, and its environment."""
        server = self.stack.servers["redis"]
        program = wheel_file(WHEEL, f"{INSTALLED}/bin/redis-cli", VARIABLE)
        return [str(program), "-h", "127.0.0.1", "-p", str(server.port)], server.environ()

    def client(self) -> Client:
        """A client for Redis that waits long enough for the large commands here."""
        return client_of(self.redis, _PATIENT)

    def empty(self) -> None:
        """Empties Redis, and lets the databases write what they still hold."""
        with self.client() as client:
            # Not ASYNC: freeing in the background corrupts the heap of this RedisJSON.
            client.execute_command("FLUSHALL", "SYNC")
        bank.settle(self.postgresql, self.mongodb)

    def redis_cpu_s(self) -> float:
        """CPU seconds that Redis has used, to the microsecond."""
        with self.client() as client:
            told = client.info("cpu")
            return float(told["used_cpu_user"] + told["used_cpu_sys"])

    def versions(self) -> dict[str, str]:
        """Of the servers."""
        mongo: MongoClient[dict[str, Any]] = MongoClient(self.mongodb)
        with mongo, self.client() as client, psycopg.connect(self.postgresql) as postgresql:
            return {
                "redis": str(client.info("server")["redis_version"]),
                "redis-py": redis.__version__,
                "postgresql": str(postgresql.info.parameter_status("server_version")),
                "mongodb": str(mongo.server_info()["version"]),
            }


@contextmanager
def ground(users: int, folder: Path, prefect: Server) -> Iterator[Ground]:
    """Servers with so many users, and an empty Redis; all of it ends with the block."""
    with Stack.start(folder / "stack", ("postgres", "mongodb", "redis"), environ={}) as stack:
        bank.make(stack.urls["postgres"], stack.urls["mongodb"], users)
        yield Ground(stack, prefect, folder, users)
