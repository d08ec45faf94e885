"""The conditions of filters in SQLite, where each value has a type of its own.

A value is asked for as text, as number and as bytes, whatever the column's affinity makes of it;
an ordinary index serves. For texts without regard to case and white space two serve together:
one on ``lower(column)`` and a partial one ``ON table (column) WHERE CAST(column AS TEXT) GLOB
'*[^!-~]*'``. Times have no type there: changes are not judged.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from connectors.filter_values import folded_texts, texts
from connectors.sql_filters import NOTHING, TEXT_KINDS, Condition, Filterable, Rules, joined
from core.records import ChangeFilter, KeyFilter

MOST_PARAMETERS = 30_000
"""SQLite's own default limit is 32,766."""

_INT64 = range(-(2**63), 2**63)


def _keys(column: Filterable, key: KeyFilter) -> Condition | None:
    kind = column.kind
    if kind not in TEXT_KINDS or (kind is None and column.column.form.kind == "binary"):
        return None
    is_integer = kind == "integer" or any(isinstance(value, int) for value in key.values)
    spelt = kind in {"uuid", "objectid"}
    if not (key.loose or spelt):
        return _bounded(_in(column.sql, _every_form(texts(key.values, of_integers=is_integer))))
    if not column.folds:
        return None
    if is_integer:
        found = [_in(column.sql, _every_form(texts(key.values, of_integers=True)))]
    else:
        folded = folded_texts(key.values)
        # Not what lower() prints of a double, which has fewer digits.
        doubles = [number for number in map(_number, folded) if isinstance(number, float)]
        found = [_in(f"lower({column.sql})", folded)]
        found += [_in(column.sql, doubles)] if doubles else []
    # The first half lets an index on the column be looked up.
    odd = f"({column.sql} > '' AND CAST({column.sql} AS TEXT) GLOB '*[^!-~]*')"
    return _bounded(joined([*found, Condition(odd)], " OR "))


def _changed(column: Filterable, changed: ChangeFilter) -> None:
    return None


def _probe(column: Filterable, relation: str) -> str:
    # lower() and CAST read bytes in the database's encoding, this connector as UTF-8.
    return "SELECT encoding, encoding = 'UTF-8' FROM pragma_encoding"


RULES = Rules(_keys, _changed, _probe)


def _in(sql: str, values: list[Any]) -> Condition:
    if not values:
        return NOTHING
    return Condition(f"{sql} IN ({', '.join('?' * len(values))})", tuple(values))


def _bounded(condition: Condition) -> Condition | None:
    return condition if len(condition.parameters) <= MOST_PARAMETERS else None


def _every_form(found: list[str]) -> list[Any]:
    """The texts, the numbers that are printed so, and the bytes that read so."""
    numbers = [number for number in map(_number, found) if number is not None]
    return [*found, *numbers, *(text.encode() for text in found)]


def _number(text: str) -> int | float | None:
    """The number that is delivered as this text."""
    with suppress(ValueError):
        if str(int(text)) == text and int(text) in _INT64:
            return int(text)
    with suppress(ValueError):
        if repr(float(text)) == text:
            return float(text)
    return None
