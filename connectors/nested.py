"""Documents and arrays in rows: what stands at a path, and arrays as rows of their own.

Serves MongoDB's documents and the JSON columns that are taken apart on this side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple


class Missing:
    """Stands for a field that a document lacks."""


class Crossed:
    """Stands for what a path finds behind an array: not one value."""


class Number(str):
    """A JSON number as it was written."""


MISSING: Final = Missing()
CROSSED: Final = Crossed()


class Unnested(NamedTuple):
    """Arrays as rows: whose row each is, its element, and what is no element.

    ``elements`` is MISSING in the rows of arrays without elements (``empty``) and of values that
    are no arrays (``bad``).
    """

    rows: list[int]
    elements: list[Any]
    empty: list[bool]
    bad: list[bool]


def at(documents: Sequence[Any], steps: Sequence[str]) -> Sequence[Any]:
    """What stands at the path in each document: MISSING where nothing does."""
    found = documents
    for step in steps:
        try:
            # Usually it is there in every document.
            found = list(map(itemgetter(step), found))
        except (KeyError, TypeError):
            found = [
                each.get(step, MISSING) if type(each) is dict else _outside(each) for each in found
            ]
    return found


def unnest(arrays: Sequence[Any]) -> Unnested:
    """One row for each element, and one for each value without elements."""
    rows: list[int] = []
    elements: list[Any] = []
    empty: list[bool] = []
    bad: list[bool] = []
    for row, array in enumerate(arrays):
        is_array = type(array) is list
        count = len(array) if is_array and array else 0
        rows.extend(repeat(row, count or 1))
        elements.extend(array if count else (MISSING,))
        is_empty = not count and (is_array or array is None or array is MISSING)
        empty.extend(repeat(is_empty, count or 1))
        bad.extend(repeat(not count and not is_empty, count or 1))
    return Unnested(rows, elements, empty, bad)


def parse_json(text: str | None) -> Any:
    """The document in a JSON text, its numbers as written; CROSSED where it is no JSON."""
    if text is None:
        return None
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return CROSSED


def print_json(value: Any) -> str:
    """JSON text of what ``parse_json`` gave."""
    if type(value) is dict:
        members = ",".join(f"{_quoted(name)}:{print_json(each)}" for name, each in value.items())
        return f"{{{members}}}"
    if type(value) is list:
        return f"[{','.join(map(print_json, value))}]"
    return str(value) if type(value) is Number else _quoted(value)


def plain_text(value: Any) -> str | None:
    """The text of what ``parse_json`` gave: strings without quotes; None for null."""
    if value is None or value is MISSING:
        return None
    return str(value) if type(value) in {str, Number} else print_json(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _outside(value: Any) -> Any:
    return CROSSED if type(value) is list or value is CROSSED else MISSING


def _refuse(_constant: str) -> None:
    raise ValueError("no JSON")
