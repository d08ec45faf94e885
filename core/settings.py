"""What the environment sets: where Redis and the stage are, and how much to do at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.environment import value_of
from core.errors import ConfigError
from core.quarantine import KEPT_ROWS

_CORES_FOR_ALL = 4
"""With fewer, several merges at once only take the cores that Redis and the writer need."""


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(BaseSettings):
    """All settings, each with its environment variable; docs/settings.md lists them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: SecretStr = Field(
        validation_alias="REDIS_URL",
        description="The Redis with the profiles: `redis://`, `rediss://` or `unix://`; through "
        "Sentinel `redis+sentinel://` or `rediss+sentinel://`.",
    )
    redis_timeout_s: float = Field(
        30,
        gt=0,
        validation_alias="PREFETCH_REDIS_TIMEOUT_S",
        description="Seconds to wait for an answer from Redis.",
    )
    stage_dir: Path = Field(
        Path(".prefetch"),
        validation_alias="PREFETCH_STAGE_DIR",
        description="Where the stage is kept during a run; a place on an encrypted disk.",
    )
    quarantine_dir: Path | None = Field(
        None,
        validation_alias="PREFETCH_QUARANTINE_DIR",
        description="Where the keys of quarantined rows are kept; default: the folder "
        "`quarantine` where the stage is.",
    )
    quarantine_days: float = Field(
        14,
        gt=0,
        validation_alias="PREFETCH_QUARANTINE_DAYS",
        description="Days after which these keys are removed, by the next run.",
    )
    quarantine_rows: int = Field(
        10_000,
        ge=0,
        le=KEPT_ROWS,
        validation_alias="PREFETCH_QUARANTINE_ROWS",
        description="Of how many rows of a dataset, reason and column the keys are kept; the "
        "others are only counted.",
    )
    chunk_bytes: int = Field(
        4 * 2**20,
        ge=2**16,
        validation_alias="PREFETCH_CHUNK_BYTES",
        description="Bytes of rows that are read from a source at once.",
    )
    source_threads: int = Field(
        4,
        ge=1,
        validation_alias="PREFETCH_SOURCE_THREADS",
        description="How many sources are read side by side.",
    )
    keyed_users: int = Field(
        20_000,
        ge=0,
        validation_alias="PREFETCH_KEYED_USERS",
        description="Up to how many users a backfill asks the sources for by key; for more it "
        "reads whole tables.",
    )
    load_threads: int = Field(
        default_factory=lambda: 3 if _cores() >= _CORES_FOR_ALL else 1,
        ge=1,
        validation_alias="PREFETCH_LOAD_THREADS",
        description="How many groups of buckets are loaded side by side; default: 3 with four "
        "cores or more, else 1.",
    )
    unit_users: int = Field(
        8_000,
        ge=1,
        validation_alias="PREFETCH_UNIT_USERS",
        description="About how many users are merged at once; more needs more memory.",
    )
    batch_documents: int | None = Field(
        None,
        ge=1,
        le=1000,
        validation_alias="PREFETCH_BATCH_DOCUMENTS",
        description="Documents in one fenced batch; readers wait for a batch to end. Default: 2 "
        "with a search index, else 16.",
    )
    document_bytes: int = Field(
        16 * 2**20,
        ge=2**10,
        validation_alias="PREFETCH_DOCUMENT_BYTES",
        description="The largest document that is written; a user with a larger one is held.",
    )
    fence_wait_s: float = Field(
        120,
        ge=0,
        validation_alias="PREFETCH_FENCE_WAIT_S",
        description="Seconds to wait for another run to leave a bucket.",
    )
    fence_alive_s: float = Field(
        30,
        gt=0,
        validation_alias="PREFETCH_FENCE_ALIVE_S",
        description="Seconds after which a bucket of a run that died may be taken over.",
    )
    load_attempts: int = Field(
        3,
        ge=1,
        validation_alias="PREFETCH_LOAD_ATTEMPTS",
        description="How often load and check are tried, each time on the Redis that answers "
        "after a restart or a failover.",
    )
    redis_away_s: float = Field(
        60,
        ge=0,
        validation_alias="PREFETCH_REDIS_AWAY_S",
        description="Seconds to wait for a Redis that went away while it was written to, before "
        "the next attempt.",
    )
    wait_replicas: int = Field(
        0,
        ge=0,
        validation_alias="PREFETCH_WAIT_REPLICAS",
        description="How many replicas must have confirmed a bucket before it counts as written "
        "(`WAIT`); 0: none is asked.",
    )
    wait_timeout_s: float = Field(
        5,
        gt=0,
        validation_alias="PREFETCH_WAIT_TIMEOUT_S",
        description="Seconds to wait for them; less than `PREFETCH_REDIS_TIMEOUT_S`.",
    )
    extract_attempts: int = Field(
        3,
        ge=1,
        validation_alias="PREFETCH_EXTRACT_ATTEMPTS",
        description="How often the extraction is tried, each time with new snapshots.",
    )
    hash_key: SecretStr | None = Field(
        None,
        validation_alias="PREFETCH_HASH_KEY",
        description="The key of the keyed hashes that stand for users in reports; default: one "
        "that is made at the first use and kept in Redis.",
    )
    runs_kept: int = Field(
        30,
        ge=1,
        validation_alias="PREFETCH_RUNS_KEPT",
        description="How many run reports are kept in Redis.",
    )


def load_settings() -> Settings:
    """The settings of this process's environment; secrets may be in files that it names.

    Raises:
        ConfigError: with every variable that is missing or wrong.
    """
    secrets: dict[str, Any] = {
        str(field.validation_alias): value_of(os.environ, str(field.validation_alias))
        for field in Settings.model_fields.values()
        if field.annotation in (SecretStr, SecretStr | None)
    }
    try:
        return Settings(**{name: value for name, value in secrets.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(
            [
                f"environment variable {problem['loc'][0]}: "
                + (
                    "not set; see docs/settings.md"
                    if problem["type"] == "missing"
                    else problem["msg"]
                )
                for problem in error.errors(include_input=False, include_context=False)
            ]
        ) from None
