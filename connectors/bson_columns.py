"""Columns from MongoDB's values: one look at the types in a column, then all of it at once.

A column that holds what it is declared as is converted by Arrow; a mixed one value by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from bson import Binary, Decimal128, Int64

from connectors.arrow import Delivered
from connectors.bson_text import TEXT_OF, decimal_text, json_texts
from connectors.nested import MISSING, Missing
from core.values import NUMBER_DIGITS, SAFE_INTEGER, Kind

_NULL = type(None)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
"""As JSON writes them: ``00123`` may be somebody else than ``123``."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)


class Form(NamedTuple):
    """How a kind is delivered: the types that Arrow takes as they are, else one by one.

    ``each`` gives null for None, and for a value that can't be delivered.
    """

    arrow: pa.DataType
    plain: frozenset[type]
    each: Callable[[Sequence[Any]], pa.Array]


def column(values: Sequence[Any], kind: Kind) -> tuple[Delivered, pa.Array | None]:
    """The values as the kind's delivered form, and where they are MISSING (None: nowhere)."""
    types = set(map(type, values))
    absent = None
    if Missing in types:
        absent = pa.array([each is MISSING for each in values], pa.bool_())
        values = [None if each is MISSING else each for each in values]
        types = (types - {Missing}) | {_NULL}
    return _delivered(values, types, FORMS.get(kind, _TEXT)), absent


def _delivered(values: Sequence[Any], types: set[type], form: Form) -> Delivered:
    try:
        if types <= form.plain:
            return Delivered(pa.array(values, form.arrow))
        if form is _TEXT and types <= _INSTANTS:
            # as without a zone: Arrow prints that in a twentieth of the time
            naive = pa.array(values, pa.timestamp("us")).cast(pa.string())
            return Delivered(pc.binary_join_element_wise(naive, "Z", ""))
    except UnicodeEncodeError:
        pass  # what was no UTF-8 became surrogates: the values are looked at one by one
    given = form.each(values)
    bad = None
    if given.null_count:
        was_null = pa.array([value is None for value in values], pa.bool_())
        bad = pc.and_not(given.is_null(), was_null)
    return Delivered(given, bad, form is _JSON)


def _text(value: Any) -> str | None:
    text = TEXT_OF.get(type(value))
    return text(value) if text else None


def _integer(value: Any) -> int | None:
    if type(value) in {int, Int64}:
        return int(value)
    whole: int | None = None
    is_digits = type(value) is str and _INTEGER.fullmatch(value) is not None
    if is_digits or (type(value) is float and value.is_integer()):
        whole = int(value)
    elif type(value) is Decimal128:
        number = value.to_decimal()
        # int() of 1E+6144 would be a number of six thousand digits.
        if number.is_finite() and number.adjusted() < 20 and number == number.to_integral_value():
            whole = int(number)
    return whole if whole is not None and whole in _INT64 else None


def _number(value: Any) -> float | None:
    if type(value) is float:
        return value
    if type(value) in {int, Int64}:
        return float(value) if abs(value) <= SAFE_INTEGER else None
    text = decimal_text(value) if type(value) is Decimal128 else value
    if type(text) is not str or not _NUMBER.fullmatch(text):
        return None
    digits = Decimal(text).as_tuple().digits
    return float(text) if len(digits) <= NUMBER_DIGITS else None


def _boolean(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _binary(value: Any) -> bytes | None:
    if type(value) is UUID:
        return value.bytes
    return bytes(value) if type(value) in {bytes, Binary} else None


def _one_by_one(arrow: pa.DataType, plain: set[type], one: Callable[[Any], Any]) -> Form:
    def each(values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else one(value) for value in values], arrow)

    return Form(arrow, frozenset({*plain, _NULL}), each)


_INSTANTS = {datetime, _NULL}
_TEXT = _one_by_one(pa.string(), {str}, _text)
_JSON = Form(pa.string(), frozenset(), json_texts)

FORMS: dict[Kind, Form] = {
    "integer": _one_by_one(pa.int64(), {int, Int64}, _integer),
    "number": _one_by_one(pa.float64(), {float}, _number),
    "boolean": _one_by_one(pa.bool_(), {bool}, _boolean),
    "binary": _one_by_one(pa.binary(), {bytes}, _binary),
    "json": _JSON,
    "array": _JSON,
}
"""All other kinds are delivered as text."""
