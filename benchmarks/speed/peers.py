"""The peers: they load the same data from the same servers into the same Redis.

A script written by hand makes the same nested profiles. Feast and dlt load the flat table of
customers alone: of nesting they know nothing. Of each, only the work counts, not its imports.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pandas as pd
from sqlalchemy import create_engine

from benchmarks.speed.environments import python_of
from benchmarks.speed.ground import Ground
from benchmarks.speed.limit import documents
from devstack.folders import PROJECT, private_folder

_PROGRAMS = {"script": "by_hand.py", "feast": "with_feast.py", "dlt": "with_dlt.py"}
PEERS = tuple(_PROGRAMS)
_SILENT = {
    # Nobody is told about these runs.
    "FEAST_USAGE": "False",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Peer:
    """How to start one."""

    name: str
    python: Path

    def load(self, ground: Ground) -> dict[str, float]:
        """Loads into an empty Redis: seconds and rows.

        Raises:
            SystemExit: it failed, or did not load all users.
        """
        folder = private_folder(ground.folder / self.name)
        sql_url = ground.postgresql.replace("postgresql://", "postgresql+psycopg://")
        own = {"PEER_SQL_URL": sql_url, "DLT_DATA_DIR": str(folder)}
        if self.name == "feast":
            own["PEER_PARQUET"] = _parquet(sql_url, folder / "customer.parquet")
        ground.empty()
        program = PROJECT / "benchmarks/speed/programs" / _PROGRAMS[self.name]
        done = subprocess.run(
            [str(self.python), str(program)],
            env={**ground.environ, **_SILENT, **own},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{self.name}: {done.stderr}")
        told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        with ground.client() as client:
            found = client.dbsize()
        if not told["rows"] == found == ground.users:
            sys.exit(f"{self.name}: {ground.users} users, {told['rows']} loaded, {found} in Redis")
        return told


def peer_of(name: str) -> Peer:
    """A peer, installed if it must be."""
    return Peer(name, Path(sys.executable) if name == "script" else python_of(name))


def content(ground: Ground) -> dict[bytes, bytes]:
    """A hash of each profile in Redis now, without what only the pipeline writes."""
    with ground.client() as client:
        return {key: hash_of(text) for key, text in documents(client)}


def hash_of(text: bytes) -> bytes:
    """A hash of a profile's values, without ``_meta`` and the order of fields."""
    profile = orjson.loads(text)
    profile.pop("_meta", None)
    return hashlib.blake2b(orjson.dumps(profile, option=orjson.OPT_SORT_KEYS)).digest()


def differing(ours: Mapping[bytes, bytes], others: Mapping[bytes, bytes]) -> int:
    """How many profiles are not the same in both, or in one only."""
    return sum(ours.get(key) != others.get(key) for key in ours.keys() | others.keys())


def _parquet(sql_url: str, path: Path) -> str:
    """The table of customers as a file, with types that Feast has."""
    customers = pd.read_sql("SELECT * FROM customer", create_engine(sql_url))
    customers["born"] = customers["born"].astype(str)
    customers.to_parquet(path, index=False)
    return str(path)
