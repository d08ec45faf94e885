"""Which doubles Redis keeps: RedisJSON 2.8 reads some numbers of 16 and 17 digits as a neighbour.

Its reader takes the digits as an integer of 64 bits, makes that a double, and multiplies or divides
once by a power of ten (``f64_from_parts`` in serde_json, built without ``float_roundtrip``). That
is exact up to 15 digits; of doubles of full precision one in ten comes back as its neighbour. What
is computed here is compared with the real one in the tests.
"""

from __future__ import annotations

import math

import numpy as np
import orjson
import polars as pl

_MOST = 2**64 - 1
_GREATEST_POWER = 308
_EXACT = float(2**53 - 2)
_PLACES = (1e6, 1e9)
"""Numbers of so many places, and of at most 2^53 in these units, are read without a rounding."""


def read_by_redis(text: str) -> float:
    """The double that RedisJSON makes of a JSON number with a point or an exponent."""
    mantissa, _, power = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, exponent = whole + fraction, int(power or 0) - len(fraction)
    while int(digits) > _MOST:  # what does not fit is left out
        digits, exponent = digits[:-1], exponent + 1
    found = float(int(digits))
    while exponent < -_GREATEST_POWER and found:
        found, exponent = found / 1e308, exponent + _GREATEST_POWER
    scale = float(f"1e{abs(exponent)}") if abs(exponent) <= _GREATEST_POWER else 1.0
    found = found * scale if exponent >= 0 else found / scale
    return -found if text[0] == "-" else found


def is_kept(number: float) -> bool:
    """Whether Redis gives a finite double back as it was."""
    return read_by_redis(orjson.dumps(number).decode()) == number


def all_kept(values: pl.Series) -> pl.Series:
    """Which finite doubles of a column Redis gives back; true where there is none."""
    kept = plainly_kept(values)
    if kept.all():
        return kept
    rows = (~kept).arg_true()
    return kept.scatter(rows, [is_kept(value) for value in values.gather(rows).to_list()])


def nearest_kept(number: float) -> float:
    """A computed double, or the nearest of its neighbours that Redis keeps."""
    up = down = number
    while True:
        for near in (up, down):
            if is_kept(near):
                return near
        up, down = math.nextafter(up, math.inf), math.nextafter(down, -math.inf)


def plainly_kept(values: pl.Series) -> pl.Series:
    """Which finite doubles have so few digits that it is certain without a closer look."""
    doubles = values.fill_null(0.0).to_numpy()
    kept = np.zeros(len(doubles), dtype=bool)
    with np.errstate(over="ignore"):
        for unit in _PLACES:
            if not kept.all():
                units = np.rint(doubles * unit)
                kept |= (np.abs(units) < _EXACT) & (units / unit == doubles)
    return pl.Series(kept)
