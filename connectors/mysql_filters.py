"""The conditions of filters in MariaDB and MySQL, comparing only like with like.

An ordinary index serves for numbers, uuids, times and texts, and for texts without regard to case
and white space where the column's collation has no regard to case either (but a Turkish one):
what may stand before a text are ranges of the index, what may stand behind it is in the range of
the texts that begin with it. Under other collations, and for texts beyond ASCII, the server looks
at every row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import product

from connectors.filter_values import (
    DATE_SLACK,
    UUID,
    ZONE_SLACK,
    bounds,
    decimals,
    folded_texts,
    integers,
    texts,
)
from connectors.sql_filters import NOTHING, TEXT_KINDS, Condition, Filterable, Rules, joined
from core.records import ChangeFilter, KeyFilter
from core.values import SAFE_INTEGER

_WITHIN_BMP = frozenset({"utf8", "utf8mb3", "ucs2"})
_UNICODE = _WITHIN_BMP | {"utf8mb4", "utf16", "utf16le", "utf32"}
_WHITE = "\t\n\v\f\r "
_MORE_WHITE = {"ascii": "", "latin1": "\xa0"} | dict.fromkeys(
    _UNICODE,
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000",
)
_TWINS = {"k": "k\u212a", ";": ";\u037e", "`": "`\u1fef"}
"""What else becomes a character of ASCII: by lower case, or by NFC."""
_MOST_TWINS = 256
_INTEGERS = range(-(2**63), 2**64)
_ESCAPED = str.maketrans({"|": "||", "%": "|%", "_": "|_"})
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _keys(column: Filterable, key: KeyFilter) -> Condition | None:
    compared = column.column.compared
    if compared == "text":
        return _in_texts(column, key) if column.kind in TEXT_KINDS else None
    if compared == "uuid" and column.kind in {None, "uuid", "string"}:
        return _in(column.sql, [v for v in map(str, key.values) if UUID.fullmatch(v)])
    if column.kind not in {None, "integer", "string"}:
        return None
    if compared == "integer":
        whole = (int(v) for v in decimals(key.values) if v == int(v))
        return _in(column.sql, [v for v in whole if v in _INTEGERS])
    if compared == "decimal":
        found = decimals(key.values)
        # A number with an exponent would be compared as a double.
        return None if any("E" in str(v) for v in found) else _in(column.sql, found)
    if compared == "double":
        exact = [v for v in integers(key.values) if abs(v) <= SAFE_INTEGER]
        return _in(column.sql, exact) if len(exact) == len(set(key.values)) else None
    return None


def _in_texts(column: Filterable, key: KeyFilter) -> Condition | None:
    if column.folds is None:
        # A query's column of MariaDB's type uuid, which its results call text.
        uuids = [v for v in map(str, key.values) if UUID.fullmatch(v)]
        return _in(column.sql, uuids) if len(uuids) == len(key.values) else None
    is_integer = column.kind == "integer" or any(isinstance(v, int) for v in key.values)
    if key.loose or column.kind in {"uuid", "objectid"}:
        return _loosely(column, key, is_integer=is_integer)
    found = texts(key.values, of_integers=is_integer)
    if column.column.form.kind == "binary" or column.charset == "binary":
        return _in(column.sql, [text.encode() for text in found])
    # Texts that the column's character set lacks can't be compared with it.
    held = _in(column.sql, [text for text in found if _fits(column, text)])
    other = _in(_unicode(column), [text for text in found if not _fits(column, text)])
    return held if other == NOTHING else joined([held, other], " OR ")


def _fits(column: Filterable, text: str) -> bool:
    if column.charset in _UNICODE:
        return column.charset not in _WITHIN_BMP or all(c <= "\uffff" for c in text)
    return text.isascii()


def _loosely(column: Filterable, key: KeyFilter, *, is_integer: bool) -> Condition:
    odd = Condition(f"{_unicode(column)} COLLATE utf8mb4_bin REGEXP '[^!-~]'")
    found = texts(key.values, of_integers=True) if is_integer else folded_texts(key.values)
    if not found:
        return NOTHING
    if column.charset in _MORE_WHITE and (is_integer or column.folds):
        uuids = [text for text in found if UUID.fullmatch(text)]
        others = found if is_integer else folded_texts([v for v in key.values if v not in uuids])
        twins = _with_twins(others) if column.charset in _UNICODE else others
        if twins is not None and all(map(str.isascii, found)):
            return _by_ranges(column, twins, uuids, odd)
    same = f"{_unicode(column)} COLLATE utf8mb4_general_ci"
    return joined([_in(same, found), odd], " OR ")


def _by_ranges(column: Filterable, found: list[str], uuids: list[str], odd: Condition) -> Condition:
    """Texts that are among those asked for, but for case and white space, by ranges of an index."""
    spelt = [before + uuid[:8] for uuid in uuids for before in ("", "{", "urn:uuid:", "urn:uuid:{")]
    white = [*_WHITE, *_MORE_WHITE[column.charset]]
    longer = joined([_beginning(column.sql, found), odd], " AND ")
    return joined([_in(column.sql, found), longer, _beginning(column.sql, white + spelt)], " OR ")


def _with_twins(found: list[str]) -> list[str] | None:
    """The texts in all their spellings with twins; None where these are too many."""
    made: list[str] = []
    for text in found:
        if 2 ** sum(map(text.count, _TWINS)) > _MOST_TWINS:
            return None
        made += map("".join, product(*(_TWINS.get(character, character) for character in text)))
    return made


def _changed(column: Filterable, changed: ChangeFilter) -> Condition | None:
    compared, kind = column.column.compared, column.kind or "timestamp"
    if compared not in {"timestamp", "datetime", "date"} or kind not in {"timestamp", "date"}:
        return None
    slack = timedelta(0) if compared == "timestamp" else ZONE_SLACK
    if kind == "date" and compared != "date":
        slack = DATE_SLACK
    since, until = bounds(changed, slack)
    if compared == "date":
        days = (str(since.date()), str(until.date()))
        return Condition(f"{column.sql} BETWEEN %s AND %s", days)
    moments = tuple(each.isoformat(" ", "microseconds") for each in (since, until))
    return Condition(f"({column.sql} >= %s AND {column.sql} < %s)", moments)


def _probe(column: Filterable, relation: str) -> str | None:
    if column.column.compared != "text":
        return None
    one = f"coalesce((SELECT {column.sql} FROM {relation} LIMIT 0), '{_LETTERS}')"
    return f"SELECT charset({one}), {one} = '{_LETTERS.lower()}'"


RULES = Rules(_keys, _changed, _probe)


def _unicode(column: Filterable) -> str:
    return f"CONVERT({column.sql} USING utf8mb4)"


def _in(sql: str, values: Iterable[object]) -> Condition:
    values = tuple(values)
    if not values:
        return NOTHING
    return Condition(f"{sql} IN ({', '.join(['%s'] * len(values))})", values)


def _beginning(sql: str, begins: list[str]) -> Condition:
    patterns = tuple(f"{begin.translate(_ESCAPED)}%" for begin in begins if begin)
    if not patterns:
        return NOTHING
    likes = [f"{sql} LIKE %s ESCAPE '|'"] * len(patterns)
    return Condition(f"({' OR '.join(likes)})", patterns)
