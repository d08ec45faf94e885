"""The cast to json: JSON text whose values any reader gets unchanged."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from core.values import SAFE_INTEGER
from transforms.casts_decimals import holds
from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, only, refuse_all, settle
from transforms.casts_text import NUL
from transforms.kept_numbers import is_kept

DEPTH = 100
"""Levels of arrays and objects in a value; RedisJSON refuses documents of more than 128."""

_MANY_DIGITS = 1000
"""No kind takes integers of more digits, and Python refuses to read some thousands."""

# What the plain way does not see: orjson turns integers beyond 64 bits into doubles, and Redis
# reads some numbers of many digits or with an exponent as a neighbour
_DELICATE = r"[0-9]{16}|[0-9.]{17}|(?:^|[\[:,\s])-?[0-9.]+[eE]|\\u0000"

_ZEROS = re.compile(r"\.([0-9]*?)0+(?![0-9])")

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
    if len(text) > _MANY_DIGITS:
        raise Unfit("integer_beyond_2_53")
    return int(text)


def _constant(text: str) -> None:
    raise Unfit("not_json")


def read_exactly(text: str) -> Any:
    """The JSON value, numbers with a point or exponent as Decimal.

    Raises:
        Unfit: ``not_json``, ``too_deep``, ``duplicate_key``, or an integer of absurd length.
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
            exact = Decimal(repr(value) if isinstance(value, float) else value)
            if not (holds(float(value), exact) and is_kept(float(value))):
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


def cast_json(series: pl.Series, wanted: Wanted) -> Cast:
    """Canonical JSON text."""
    judge = json_judge(wanted)
    if series.dtype.is_nested():
        return settle(series, nulls(series, pl.String()), judge)
    if series.dtype != pl.String:
        return refuse_all(series, pl.String(), "not_json")
    plain = only(series, ~series.str.contains(_DELICATE))
    if wanted.canonical:
        if (plain.str.len_bytes() > 2 * DEPTH).any():  # each level is opened and closed
            plain = only(plain, plain.str.count_matches(r"[\[{]") <= DEPTH)
        return settle(series, plain, judge)
    fast = [None if text is None else _plainly_good(text) for text in plain.to_list()]
    return settle(series, pl.Series(fast, dtype=pl.String), judge)


def _plainly_good(text: str) -> str | None:
    """The canonical text, or None where a closer look is due.

    Where it is the given text but for white space, no number changed and no key came twice.
    """
    if text.count("[") + text.count("{") > DEPTH:
        return None
    try:
        found = orjson.dumps(orjson.loads(text)).decode()
    except ValueError:
        return None
    # the cheapest comparison first: most texts differ in nothing, or in spaces
    same = found == text or found.replace(" ", "") == text.replace(" ", "")
    return found if same or _bare(found) == _bare(text) else None


def _bare(text: str) -> str:
    """The text without white space, and without zeros at the end of fractions.

    Also in strings: that harms nothing, as two texts are compared after the same was done to both.
    """
    return _ZEROS.sub(r".\1", "".join(text.split()))
