"""Casts a column from what a source delivers to what a profile may hold: exactly, or not at all.

A value is never changed to make it fit. What can't be held exactly is null in the result, and
beside it stands a reason: one of a few short words, never the value. Rules: docs of each kind in
``casts_text``, ``casts_ids``, ``casts_numbers``, ``casts_decimals``, ``casts_times``,
``casts_json``, ``casts_arrays`` and ``casts_user_id``.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from core.pipeline import Column
from core.values import NUMBER_DIGITS, ColumnType, Kind
from transforms.casts_arrays import cast_array
from transforms.casts_decimals import cast_decimal, decimal_dtype, decimal_judge
from transforms.casts_ids import (
    cast_objectid,
    cast_password_hash,
    cast_uuid,
    hash_judge,
    objectid_judge,
    uuid_judge,
)
from transforms.casts_json import cast_json, json_judge
from transforms.casts_numbers import (
    boolean_judge,
    cast_boolean,
    cast_integer,
    cast_number,
    integer_judge,
    number_judge,
)
from transforms.casts_outcome import Cast, Judge, Wanted, nulls
from transforms.casts_text import binary_judge, cast_binary, cast_string, clean, string_judge
from transforms.casts_times import (
    UTC_TIMESTAMP,
    cast_date,
    cast_time,
    cast_timestamp,
    date_judge,
    time_judge,
    timestamp_judge,
)
from transforms.casts_user_id import cast_user_id

__all__ = ["Cast", "cast", "cast_user_id", "resolve_type", "typed_dtype"]

_DTYPES: dict[Kind, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": UTC_TIMESTAMP,
}

_JUDGES: dict[Kind, Callable[[Wanted], Judge]] = {
    "string": string_judge,
    "integer": integer_judge,
    "number": number_judge,
    "decimal": decimal_judge,
    "boolean": boolean_judge,
    "date": date_judge,
    "timestamp": timestamp_judge,
    "time": time_judge,
    "uuid": uuid_judge,
    "objectid": objectid_judge,
    "binary": binary_judge,
    "json": json_judge,
    "password_hash": hash_judge,
}

_CASTS: dict[Kind, Callable[[pl.Series, Wanted], Cast]] = {
    "string": cast_string,
    "integer": cast_integer,
    "number": cast_number,
    "decimal": cast_decimal,
    "boolean": cast_boolean,
    "date": cast_date,
    "timestamp": cast_timestamp,
    "time": cast_time,
    "uuid": cast_uuid,
    "objectid": cast_objectid,
    "binary": cast_binary,
    "json": cast_json,
    "password_hash": cast_password_hash,
    "array": lambda series, wanted: cast_array(series, wanted, _JUDGES.__getitem__),
}


def typed_dtype(target: ColumnType) -> pl.DataType:
    """The Polars type of a column once cast.

    Decimals of known scale are ``Decimal(38, scale)``; where the scale is unknown, or the
    source's precision is beyond 38 digits, they are String in plain notation.
    """
    if target.kind == "decimal":
        return decimal_dtype(target)
    return _DTYPES.get(target.kind, pl.String())


def resolve_type(column: Column, described: ColumnType) -> ColumnType:
    """The type a column is cast to: the declared one, else one derived from the source's.

    Decimals of at most 15 digits become numbers, as a double holds them unchanged; others stay
    decimals, which are strings in the document. That depends on the type and never on a value.
    """
    declared = column.declared
    if declared is not None:
        return declared
    precision = described.precision
    if described.kind == "decimal" and precision is not None and precision <= NUMBER_DIGITS:
        return ColumnType("number", scale=described.scale)
    return described


def cast(
    series: pl.Series,
    column: Column,
    delivered: ColumnType | None,
    target: ColumnType,
    timezone: str | None,
    *,
    canonical: bool = False,
) -> Cast:
    """One column as typed.

    Args:
        series: as delivered by a connector (``connectors.base``, "Delivered forms") or a hook.
        column: what the pipeline file says of it.
        delivered: the source's own type, where known.
        target: the type as ``resolve_type`` gives it.
        timezone: the dataset's zone for times without one; the column's goes first.
        canonical: JSON text is as orjson prints it (``connectors.base``).
    """
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.Null:
        return Cast(nulls(series, typed_dtype(target)))
    wanted = Wanted(column, delivered, target, column.timezone or timezone, canonical)
    return _CASTS[target.kind](clean(series, column, target.kind), wanted)
