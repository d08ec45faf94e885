"""The conditions of a query's filters in MongoDB, written so that indexes serve.

An ordinary index serves: each value is asked for in every BSON type that ``bson_text`` makes it
from. For texts without regard to case and white space the index needs the collation ``LOOSE``.
A uuid or object id is found among values of its own type at once; where they are stored as texts,
the texts of other spellings are found by a look at the index's every key.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any, NamedTuple
from uuid import UUID

from bson import Decimal128, ObjectId
from pymongo.collation import Collation

from connectors.filter_values import DATE_SLACK, OBJECT_ID, bounds, integers, texts
from connectors.filter_values import UUID as UUID_TEXT
from core.records import ChangeFilter, KeyFilter, Query
from core.values import ColumnType, Kind

LOOSE = Collation(locale="en", strength=2, alternate="shifted")
"""Takes for the same what differs in case, white space, punctuation, or NFC and NFD."""

Filter = dict[str, Any]

_INT64 = range(-(2**63), 2**63)
_NUMBER = re.compile(r"-?[0-9]{1,1100}(\.[0-9]{1,1100})?(e[+-]?[0-9]{1,4})?|-?inf(inity)?|nan")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ t].*z")
_FAR_YEAR = re.compile(r"([+-][0-9]+|[0-9]{5,}|0000)-[0-9]{2}-[0-9]{2}t")
_HEX = "[0-9a-f]"
_ODD_SPELLING = {
    "uuid": rf"^(?!{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\z)",
    "objectid": rf"^(?!{_HEX}{{24}}\z)",
}
_STRANGERS = re.compile(
    "[\u019b\u0250-\u02af\u10a0-\u10ff\u1c80-\u1cbf\u1d00-\u1dbf\u2c00-\u2c5f\ua640-\ua7ff"
    "\U00010000-\U0010ffff]"
)
"""Letters that are the lower case of younger ones than the server's tables have (ICU 57)."""


class Find(NamedTuple):
    """What to ask for: the filter, and the collation if it needs one."""

    filter: Filter
    collation: Collation | None = None


def find(query: Query, types: Mapping[str, ColumnType]) -> Find:
    """The find of a query's filters, which misses no document that has a row asked for."""
    paths = {column.name: column.path for column in query.columns}
    conditions: list[Filter] = []
    collation = None
    for key in query.keys:
        path, kind = paths[key.column], types[key.column]
        is_nested = kind.kind == "array" and path == query.unnest
        condition = None if is_nested and key.values else _keys(path, kind, key)
        if condition is not None:
            conditions.append(condition)
            if key.loose and (kind.item or kind.kind) == "string":
                collation = LOOSE
    if query.changed:
        name = query.changed.column
        conditions.append(_changed(paths[name], types[name].kind, query.changed))
    return Find({"$and": conditions} if conditions else {}, collation)


def _keys(path: str, declared: ColumnType, key: KeyFilter) -> Filter | None:
    if not key.values:
        return {path: {"$in": []}}
    is_array = declared.kind == "array"
    kind: Kind | None = declared.item if is_array else declared.kind
    if kind == "integer":
        return _integers(path, key, is_array=is_array)
    if kind in _ODD_SPELLING:
        return _ids(path, key, kind)
    if kind in {"string", "password_hash"}:
        return _texts(path, key, is_array=is_array)
    return None


def _integers(path: str, key: KeyFilter, *, is_array: bool) -> Filter:
    found = [value for value in integers(key.values) if value in _INT64]
    # Texts that are these integers in another spelling begin with a sign or a zero; only the
    # items of arrays are trimmed.
    others: Filter = {"$type": "string"} if is_array and key.loose else {"$lt": "1"}
    return {"$or": [{path: {"$in": [*found, *map(str, found)]}}, {path: others}]}


def _ids(path: str, key: KeyFilter, kind: Kind) -> Filter:
    same = UUID_TEXT if kind == "uuid" else OBJECT_ID
    make = UUID if kind == "uuid" else ObjectId
    found = [text.lower() for text in map(str, key.values) if same.fullmatch(text)]
    candidates = [*map(make, found), *found, *chain.from_iterable(map(_digits, found))]
    return {"$or": [{path: {"$in": candidates}}, {path: {"$regex": _ODD_SPELLING[kind]}}]}


def _texts(path: str, key: KeyFilter, *, is_array: bool) -> Filter | None:
    found = texts(key.values, of_integers=any(isinstance(v, int) for v in key.values))
    if any(_FAR_YEAR.match(text.lower()) for text in found):
        return None
    if key.loose and not all(map(_folds_as_here, found)):
        return None
    others = [other for text in found for other in _other_types(text.lower())]
    if key.loose:
        found += [f"urn:uuid:{text}" for text in found if UUID_TEXT.fullmatch(text)]
    clauses: list[Filter] = [{path: {"$in": found}}]
    if others:
        # On their own, as an index without the collation serves them.
        clauses.append({path: {"$in": others}})
    if is_array and any(map(_is_base64, found)):
        clauses.append({path: {"$type": "binData"}})
    return {"$or": clauses} if len(clauses) > 1 else clauses[0]


def _other_types(text: str) -> list[Any]:
    """The values of other types that are delivered as a text, which is given in lower case."""
    if text in {"true", "false"}:
        return [text == "true"]
    if OBJECT_ID.fullmatch(text):
        return [ObjectId(text), *_digits(text)]
    if UUID_TEXT.fullmatch(text):
        return [UUID(text), *_digits(text)]
    if _DATE.fullmatch(text):
        try:
            return [datetime.fromisoformat(text.upper())]
        except ValueError:
            return []
    return _numbers(text)


def _digits(text: str) -> list[Any]:
    """The numbers whose digits are an id."""
    return _numbers(text.replace("-", ""))


def _numbers(text: str) -> list[Any]:
    if not _NUMBER.fullmatch(text):
        return []
    found: list[Any] = [float(text)]
    # A double next to a long is not the same.
    found += [whole for whole in integers([text]) if whole in _INT64]
    with suppress(ArithmeticError):
        found.append(Decimal128(text))
    return found


def _folds_as_here(text: str) -> bool:
    """Whether texts that are folded to this one are the same to the server's collation.

    It does not put several marks on one letter in order (that would need another collation and so
    another index), and passes over a mark that follows white space.
    """
    if text.isascii():
        return True
    if _STRANGERS.search(text) or unicodedata.category(text[0])[0] == "M":
        return False
    marks = [unicodedata.combining(c) > 0 for c in unicodedata.normalize("NFD", text)]
    several = any(first and second for first, second in pairwise(marks))
    return not several and not any(unicodedata.category(c)[0] == "C" for c in text)


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _changed(path: str, kind: Kind, changed: ChangeFilter) -> Filter:
    since, until = bounds(changed, DATE_SLACK if kind != "timestamp" else timedelta(0))
    if until.microsecond % 1000 and until < datetime.max - timedelta(seconds=1):
        # The driver cuts instants down to milliseconds.
        until += timedelta(milliseconds=1)
    dates = {"$gte": since.replace(tzinfo=UTC), "$lt": until.replace(tzinfo=UTC)}
    return {"$or": [{path: dates}, {path: {"$type": ["string", "number"]}}]}
