"""Reads Redis and compares with the data sets' oracles, sharing no code with the product."""

from __future__ import annotations

import json
from typing import Any

import redis

from tests.programs import real_data


def oracle(name: str) -> dict[str, Any]:
    """A data set's expected results."""
    text = (real_data() / name / "oracle.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def documents(url: str, prefix: str = "profile:") -> dict[str, dict[str, Any]]:
    """Every document with a prefix, by the rest of its key."""
    found: dict[str, dict[str, Any]] = {}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        keys = sorted(client.scan_iter(match=f"{prefix}*", count=1000))
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            with client.pipeline(transaction=False) as pipe:
                for key in part:
                    pipe.execute_command("JSON.GET", key)
                texts = pipe.execute()
            found |= {
                key.removeprefix(prefix): json.loads(text)
                for key, text in zip(part, texts, strict=True)
            }
    return found


def bare(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what the pipeline adds."""
    return {name: value for name, value in document.items() if name not in ("user_id", "_meta")}


def without_order(value: Any) -> Any:
    """A value whose lists compare without regard to order."""
    if isinstance(value, dict):
        return {name: without_order(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted((without_order(inner) for inner in value), key=json.dumps)
    return value


def without_epoch(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Documents that compare but for the epoch that last confirmed them."""
    return {
        key: {**d, "_meta": {k: v for k, v in d["_meta"].items() if k != "epoch"}}
        for key, d in found.items()
    }
