"""Casts to json and arrays: JSON text whose values any reader gets unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from core.values import SAFE_INTEGER, ColumnType, Kind
from transforms.casts_decimals import holds
from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, refuse_all, settle
from transforms.casts_text import NUL, clean_value

DEPTH = 100
"""Levels of arrays and objects in a value; RedisJSON refuses documents of more than 128."""

_MANY_DIGITS = 20
"""An integer of more digits is beyond 2^53 whatever its sign; Python refuses some thousands."""

# What the plain way does not see: orjson turns integers beyond 64 bits into doubles
_DELICATE = re.compile(r"[0-9]{16}|\\u0000")

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def canonical(value: Any) -> str:
    """A value as JSON text; keys in their order, no spaces.

    Raises:
        Unfit: ``not_json`` for what is none.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS).decode()
    except (TypeError, RecursionError):
        raise Unfit("not_json") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unfit("duplicate_key")
    return found


def _integer(text: str) -> int:
    return int(text[:_MANY_DIGITS])


def _constant(text: str) -> None:
    raise Unfit("not_json")


def read_exactly(text: str) -> Any:
    """The JSON value, numbers with a point or exponent as Decimal.

    Integers of more than 20 digits are cut there, which leaves them beyond 2^53.

    Raises:
        Unfit: ``not_json``, ``too_deep`` or ``duplicate_key``.
    """
    if _depth(text) > DEPTH:
        raise Unfit("too_deep")
    try:
        return json.loads(
            text,
            parse_float=Decimal,
            parse_int=_integer,
            parse_constant=_constant,
            object_pairs_hook=_pairs,
        )
    except (ValueError, ArithmeticError):
        raise Unfit("not_json") from None


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[][{}]")


def _depth(text: str) -> int:
    """How deep brackets nest in a text; counted, as a parser may run out of stack first."""
    if text.count("[") + text.count("{") <= DEPTH:
        return 0
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def inspect(value: Any) -> None:
    """Goes through a JSON value, at most ``DEPTH`` levels deep.

    Raises:
        Unfit: for numbers that a double does not hold exactly, U+0000, and no JSON at all.
    """
    match value:
        case None | bool():
            return
        case str():
            _no_nul(value)
        case int():
            if abs(value) > SAFE_INTEGER:
                raise Unfit("integer_beyond_2_53")
        case float() | Decimal():
            if not holds(float(value), Decimal(repr(value) if isinstance(value, float) else value)):
                raise Unfit("inexact_number")
        case list():
            for item in value:
                inspect(item)
        case dict():
            for key, item in value.items():
                _no_nul(key)
                inspect(item)
        case _:
            raise Unfit("not_json")


def _no_nul(text: str) -> None:
    if NUL in text:
        raise Unfit("nul_character")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Unfit("not_json") from None


def json_judge(wanted: Wanted) -> Judge:
    """The rule for JSON: canonical text, unless some value in it would not arrive unchanged."""

    def judge(value: Any) -> str:
        if not isinstance(value, str):
            inspect(value)
            return canonical(value)
        inspect(read_exactly(value))
        try:
            return canonical(orjson.loads(value))
        except orjson.JSONDecodeError:
            raise Unfit("not_json") from None

    return judge


def item_json_judge(wanted: Wanted) -> Judge:
    """The rule for items of any kind within an array, texts among them."""

    def judge(value: Any) -> Any:
        inspect(value)
        return value

    return judge


def cast_json(series: pl.Series, wanted: Wanted) -> Cast:
    """Canonical JSON text."""
    judge = json_judge(wanted)
    if series.dtype.is_nested():
        return settle(series, nulls(series, pl.String()), judge)
    if series.dtype != pl.String:
        return refuse_all(series, pl.String(), "not_json")
    fast = [None if text is None else _plainly_good(text) for text in series.to_list()]
    return settle(series, pl.Series(fast, dtype=pl.String), judge)


def _plainly_good(text: str) -> str | None:
    """The canonical text, or None where a closer look is due.

    Where it is the given text but for white space, no number changed and no key came twice.
    """
    if text.count("[") + text.count("{") > DEPTH or _DELICATE.search(text):
        return None
    try:
        found = orjson.dumps(orjson.loads(text)).decode()
    except ValueError:
        return None
    same = found == text or "".join(found.split()) == "".join(text.split())
    return found if same else None


ItemJudge = Callable[[Kind], Callable[[Wanted], Judge]]
"""Gives the rule's maker for a kind of items."""


def cast_array(series: pl.Series, wanted: Wanted, judge_of: ItemJudge) -> Cast:
    """Canonical text of JSON arrays, each item by the rule of the items' kind."""
    judge = _array_judge(wanted, judge_of)
    if series.dtype != pl.String and not isinstance(series.dtype, pl.List | pl.Array):
        return refuse_all(series, pl.String(), "not_an_array")
    return settle(series, nulls(series, pl.String()), judge)


def _array_judge(wanted: Wanted, judge_of: ItemJudge) -> Judge:
    kind = wanted.target.item or "json"
    judge = item_json_judge(wanted) if kind == "json" else judge_of(kind)(_of_items(wanted, kind))
    keeps_text = kind == "string" and not _cleans(wanted)

    def one(value: Any) -> Any:
        value = value if kind in ("password_hash", "json") else clean_value(value, wanted.column)
        if value is None:
            return None
        if kind == "integer" and not (isinstance(value, int | str) and not isinstance(value, bool)):
            raise Unfit("not_an_integer")
        return _writable(judge(value))

    def judge_array(value: Any) -> str:
        if keeps_text and isinstance(value, str) and (same := _plain_texts(value)) is not None:
            return same
        items = _items(value) if isinstance(value, str) else value
        if not isinstance(items, list):
            raise Unfit("not_an_array")
        return canonical([one(item) for item in items])

    return judge_array


def _cleans(wanted: Wanted) -> bool:
    column = wanted.column
    return column.trim or column.case is not None or bool(column.null_values)


def _of_items(wanted: Wanted, kind: Kind) -> Wanted:
    delivered = wanted.delivered
    source = ColumnType(delivered.item) if delivered is not None and delivered.item else None
    target = ColumnType(kind, wanted.target.precision, wanted.column.scale)
    return replace(wanted, delivered=source, target=target)


def _plain_texts(text: str) -> str | None:
    """The canonical text of an array of nothing but strings, without U+0000; else None."""
    try:
        items = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(items, list) or NUL in text or "\\u0000" in text:
        return None
    return orjson.dumps(items).decode() if all(type(item) is str for item in items) else None


def _items(text: str) -> Any:
    """The array in a JSON text; numbers become floats where a double holds them unchanged."""
    try:
        found = read_exactly(text)
        orjson.loads(text)  # refuses what Python's own reader lets pass, such as half surrogates
    except orjson.JSONDecodeError:
        raise Unfit("not_an_array") from None
    except Unfit as unfit:
        raise Unfit("not_an_array" if unfit.reason == "not_json" else unfit.reason) from None
    return found


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
