"""Which doubles Redis keeps, compared with a real one."""

from __future__ import annotations

import json
import math
import random
import struct

import polars as pl
import redis

from tests.transforms.casting import Bad, casts
from transforms.encode import json_ready
from transforms.kept_numbers import all_kept, nearest_kept, plainly_kept

ODD = [
    0.0,
    5e-324,
    1.7976931348623157e308,
    2.0**53 - 1,
    2.0**63,
    1e16,
    1e22,
    1e23,
    123456789012345680.0,
]


def doubles() -> list[float]:
    dice = random.Random(11)
    some = [struct.unpack("d", dice.randbytes(8))[0] for _ in range(5_000)]
    some += [dice.uniform(-180, 180) for _ in range(5_000)]
    some += [dice.randrange(10**7) / 100 * 1.035 for _ in range(5_000)]
    some += [dice.randrange(10**9) / 10 ** dice.randrange(10) for _ in range(5_000)]
    some += [float(dice.randrange(2**53)) for _ in range(2_000)]
    return [*ODD, *(each for each in some if math.isfinite(each))]


def through(redis_url: str, given: list[float]) -> list[float]:
    """The doubles as RedisJSON gives them back."""
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("JSON.SET", "kept", "$", json.dumps(given))
        found = json.loads(client.execute_command("JSON.GET", "kept"))
        client.delete("kept")
    return [float(each) for each in found]


def test_just_what_redis_keeps_is_taken(redis_url: str) -> None:
    given = doubles()
    text = pl.Series(given, dtype=pl.Float64)
    as_written = json_ready(pl.Series([*given, 1e-300]), "number")
    assert as_written[1]
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("JSON.SET", "kept", "$", f"[{','.join(map(_orjson, given))}]")
        found = [float(each) for each in json.loads(client.execute_command("JSON.GET", "kept"))]
        client.delete("kept")
    same = [old == new for old, new in zip(given, found, strict=True)]
    assert 0.7 < sum(same) / len(same) < 0.95, "the fault did not bite"
    assert all_kept(text).to_list() == same
    assert not (plainly_kept(text) & ~pl.Series(same)).any()
    refused = Bad("inexact_number")
    assert casts(given, "number", dtype=pl.Float64) == [
        value if kept else refused for value, kept in zip(given, same, strict=True)
    ]
    assert casts([f"[{_orjson(value)}]" for value in given], "json") == [
        f"[{_orjson(value)}]" if kept else refused for value, kept in zip(given, same, strict=True)
    ]


def test_what_is_computed_moves_by_a_digit_that_nobody_sees(redis_url: str) -> None:
    given = doubles()
    texts, _ = json_ready(pl.Series(given), "number")
    moved = [float(text) for text in texts.to_list()]
    assert moved == [nearest_kept(value) for value in given]
    assert all(math.isclose(old, new, rel_tol=2e-15) for old, new in zip(given, moved, strict=True))
    assert through(redis_url, moved) == moved


def _orjson(value: float) -> str:
    import orjson

    return orjson.dumps(value).decode()
