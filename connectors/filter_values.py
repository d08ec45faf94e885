"""A filter's values in the forms that a source may hold them in: the same for every connector.

All of it errs on the side of too much: what can't be the value asked for may be among them, what
can be is never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

from core.records import ChangeFilter, Query

ZONE_SLACK = timedelta(days=1)
"""How far a time without a zone may be from UTC; the zone is the reader's business."""

DATE_SLACK = timedelta(days=2)
"""How far an instant may be from the midnight, in any zone, of the date that is made of it."""

UUID = re.compile(
    "([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})", re.IGNORECASE
)
OBJECT_ID = re.compile("[0-9a-f]{24}", re.IGNORECASE)

_INTEGER = re.compile("-?[0-9]{1,40}")
_DECIMAL = re.compile(r"-?[0-9]{1,1000}(\.[0-9]{1,1000})?")

Values = Sequence[int | str]


def shape(query: Query) -> Query:
    """The query without its filters' values: all queries of a shape are planned alike."""
    keys = tuple(replace(key, values=()) for key in query.keys)
    return replace(query, keys=keys, changed=None)


def integers(values: Values) -> list[int]:
    """The values that are integers, as a number or as its digits."""
    found = (v if isinstance(v, int) else int(v) if _INTEGER.fullmatch(v) else None for v in values)
    return list(dict.fromkeys(v for v in found if v is not None))


def decimals(values: Values) -> list[Decimal]:
    """The values that are finite numbers without exponent."""
    return [Decimal(value) for value in map(str, values) if _DECIMAL.fullmatch(value)]


def texts(values: Values, *, of_integers: bool) -> list[str]:
    """The texts that are cast to the values: each the value itself.

    Args:
        of_integers: the texts are cast to integers; a negative zero is one of them.
    """
    if not of_integers:
        return _unicode(map(str, values))
    found = integers(values)
    return [*map(str, found), *(["-0"] if 0 in found else [])]


def folded_texts(values: Values) -> list[str]:
    """The texts without white space at their ends and in lower case that stand for the values.

    A UUID stands for itself in each of its spellings (RFC 9562, and ``urn:uuid:``).
    """
    found: list[str] = []
    for value in _unicode(map(str, values)):
        folded = value.strip().lower()
        parts = UUID.fullmatch(folded)
        found += [folded] if parts is None else _spellings(parts.groups())
    return list(dict.fromkeys(found))


def bounds(changed: ChangeFilter, slack: timedelta) -> tuple[datetime, datetime]:
    """The span in UTC without its zone, wider by the slack on both sides."""
    first, last = (
        each.astimezone(UTC).replace(tzinfo=None) if each.tzinfo else each
        for each in (changed.since, changed.until)
    )
    # Comparing distances: the calendar ends at the years 1 and 9999.
    since = first - slack if first - datetime.min > slack else datetime.min
    until = last + slack if datetime.max - last > slack else datetime.max
    return since, until


def _spellings(parts: Sequence[str]) -> list[str]:
    dashed = [
        "".join(part + dash for part, dash in zip(parts, (*dashes, ""), strict=True))
        for dashes in product(("-", ""), repeat=len(parts) - 1)
    ]
    braced = [*dashed, *(f"{{{text}}}" for text in dashed)]
    return [*braced, *(f"urn:uuid:{text}" for text in braced)]


def _unicode(values: Iterable[str]) -> list[str]:
    """The texts that a cast lets pass: Unicode without U+0000, each once."""
    return [v for v in dict.fromkeys(values) if "\0" not in v and not _has_surrogate(v)]


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
