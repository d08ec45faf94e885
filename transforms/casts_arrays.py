"""The cast to arrays: JSON text, each item by the rule of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from core.values import SAFE_INTEGER, ColumnType, Kind
from transforms.casts_json import canonical, inspect, read_exactly
from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, refuse_all, settle
from transforms.casts_text import clean_value

ItemJudge = Callable[[Kind], Callable[[Wanted], Judge]]
"""Gives the rule's maker for a kind of items."""


def _json_item_judge(wanted: Wanted) -> Judge:
    """The rule for items of any kind within an array, texts among them."""

    def judge(value: Any) -> Any:
        inspect(value)
        return value

    return judge


def cast_array(series: pl.Series, wanted: Wanted, judge_of: ItemJudge) -> Cast:
    """Canonical text of JSON arrays, each item by the rule of the items' kind."""
    judge = _array_judge(wanted, judge_of)
    if series.dtype != pl.String and not isinstance(series.dtype, pl.List | pl.Array):
        return refuse_all(series, pl.String(), "not_an_array")
    return settle(series, nulls(series, pl.String()), judge)


def _array_judge(wanted: Wanted, judge_of: ItemJudge) -> Judge:
    kind = wanted.target.item or "json"
    judge = _json_item_judge(wanted) if kind == "json" else judge_of(kind)(_of_items(wanted, kind))
    plain = _PLAIN.get(kind, _never) if not _cleans(wanted) else _never

    def one(value: Any) -> Any:
        value = value if kind in ("password_hash", "json") else clean_value(value, wanted.column)
        if value is None:
            return None
        if kind == "integer" and not (isinstance(value, int | str) and not isinstance(value, bool)):
            raise Unfit("not_an_integer")
        return _writable(judge(value))

    def judge_array(value: Any) -> str:
        if isinstance(value, str):
            if (same := _plainly_good(value, plain)) is not None:
                return same
            items = _items(value)
        else:
            items = value
        if not isinstance(items, list):
            raise Unfit("not_an_array")
        return _as_text([one(item) for item in items])

    return judge_array


def _cleans(wanted: Wanted) -> bool:
    column = wanted.column
    return column.trim or column.case is not None or bool(column.null_values)


def _of_items(wanted: Wanted, kind: Kind) -> Wanted:
    delivered = wanted.delivered
    source = ColumnType(delivered.item) if delivered is not None and delivered.item else None
    target = ColumnType(kind, wanted.target.precision, wanted.column.scale)
    return replace(wanted, delivered=source, target=target)


def _plainly_good(text: str, plain: Callable[[Any], bool]) -> str | None:
    """The canonical text of an array whose items are all plainly good; else None."""
    if plain is _never or "\\u0000" in text:
        return None
    try:
        items = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(items, list) or not all(map(plain, items)):
        return None
    return orjson.dumps(items).decode()


def _never(item: Any) -> bool:
    return False


# by type(), as True is an int; orjson makes integers beyond 64 bits floats, which are not ints
_PLAIN: dict[Kind, Callable[[Any], bool]] = {
    "string": lambda item: type(item) is str,
    "integer": lambda item: type(item) is int and -SAFE_INTEGER <= item <= SAFE_INTEGER,
}


def _items(text: str) -> Any:
    """What a JSON text holds, numbers with a point as Decimal."""
    try:
        return read_exactly(text)
    except Unfit as unfit:
        raise _of_array(unfit) from None


def _as_text(items: list[Any]) -> str:
    try:
        return canonical(items)
    except Unfit as unfit:  # half of a surrogate pair, which Python's reader lets pass
        raise _of_array(unfit) from None


def _of_array(unfit: Unfit) -> Unfit:
    return Unfit("not_an_array") if unfit.reason == "not_json" else unfit


def _writable(value: Any) -> Any:
    """A typed item as JSON has it."""
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case list() | dict():
            return _doubles(value)
    return value


def _doubles(value: Any) -> Any:
    match value:
        case list():
            return [_doubles(item) for item in value]
        case dict():
            return {key: _doubles(item) for key, item in value.items()}
        case Decimal():
            return float(value)
    return value
