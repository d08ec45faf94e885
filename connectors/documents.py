"""Values inside documents: the steps of a path, and arrays whose elements become rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

ABSENT_VALUE: Final = object()
"""What a path leads to where a document lacks the field."""

UNREADABLE: Final = object()
"""Stands for a value that has no form to be delivered in."""


def follow(value: Any, steps: Sequence[str]) -> Any:
    """What a path leads to; through anything but documents it leads nowhere."""
    for step in steps:
        if not isinstance(value, dict):
            return ABSENT_VALUE
        value = value.get(step, ABSENT_VALUE)
    return value


def elements(array: Any) -> list[Any]:
    """The elements of an array; of none, null or an absent one there are none."""
    if array is None or array is ABSENT_VALUE:
        return []
    return array if isinstance(array, list) else [UNREADABLE]


def parsed(texts: Iterable[Any]) -> list[Any]:
    """JSON texts (or bytes) as Python values; what is no JSON is ``UNREADABLE``."""
    return [_parsed(text) for text in texts]


def _parsed(text: Any) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return UNREADABLE
