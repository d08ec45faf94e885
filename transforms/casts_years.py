"""The years 1 to 9999, beyond which neither ISO texts nor Python go; Arrow's types do."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a naive time, as Arrow counts them."""
    return (moment - _EPOCH) // _MICROSECOND


FIRST = microseconds(datetime.min)
LAST = microseconds(datetime.max)


def within_years(series: pl.Series) -> pl.Series:
    """Which values of a Date or Datetime column lie within the years 1 to 9999.

    The others must not be shown as text or as Python's own types: Polars panics.
    """
    physical = series.to_physical()
    if not isinstance(series.dtype, pl.Datetime):
        return physical.is_between(FIRST // _DAY, LAST // _DAY)
    if series.dtype.time_unit == "ns":  # 64 bits of them end in 2262
        return physical.is_not_null()
    unit = 1_000 if series.dtype.time_unit == "ms" else 1
    return physical.is_between(-(-FIRST // unit), LAST // unit)
