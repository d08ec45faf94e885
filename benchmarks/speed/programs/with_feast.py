"""Feast: ``materialize`` of the customers, from a Parquet file into Redis. Prints seconds, rows."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, types
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

KEY, MOMENT = "customer_id", "updated_at"
TYPES = {"int64": types.Int64, "double": types.Float64, "bool": types.Bool}


def main() -> None:
    """Loads all rows of the file."""
    path = Path(os.environ["PEER_PARQUET"]).absolute()
    schema = pq.read_schema(path)
    customer = Entity(name="customer", join_keys=[KEY], value_type=ValueType.INT64)
    view = FeatureView(
        name="customer_features",
        entities=[customer],
        ttl=timedelta(days=36_500),
        schema=[
            Field(name=column.name, dtype=TYPES.get(str(column.type), types.String))
            for column in schema
            if column.name != MOMENT
        ],
        source=FileSource(path=str(path), timestamp_field=MOMENT),
    )
    store = FeatureStore(config=_config(path.parent))
    store.apply([customer, view])
    started = time.monotonic()
    store.materialize(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "rows": pq.read_metadata(path).num_rows}))


def _config(folder: Path) -> RepoConfig:
    address = os.environ["REDIS_URL"].removeprefix("redis://").removesuffix("/0")
    return RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "redis", "connection_string": address},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )


if __name__ == "__main__":
    main()
