"""The WHERE of a query's filters in PostgreSQL, written so that indexes serve.

Numbers, uuids and texts (exactly) need an ordinary index on the column, arrays a GIN index. For
texts without regard to case and white space two serve together: one on ``lower(column)``, and a
partial one ``ON table (column) WHERE column !~ '^[!-~]*$'`` (``column::text`` in both for citext
and char; an ordinary index in place of the first for citext). The partial one is of the texts
with anything but printable ASCII, where the server's folding may be another than the reader's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

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
from connectors.postgres_columns import PgType, literal
from core.records import ChangeFilter, KeyFilter, Query
from core.values import SAFE_INTEGER, ColumnType

ODD = "^[!-~]*$"
"""What a text does not match that holds anything but printable ASCII without spaces."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_NOT_FINITE = frozenset({"nan", "infinity", "-infinity"})
_FALSE = "false"


@dataclass(frozen=True)
class Filterable:
    """A column as conditions see it.

    ``array`` is the SQL of the array whose element the column is. ``folds`` tells that the
    server's lower case of ASCII letters is the usual one under the column's collation, and that
    regular expressions work there.
    """

    sql: str
    type: PgType
    declared: ColumnType | None
    array: str | None = None
    folds: bool = True

    @property
    def is_text(self) -> bool:
        return self.type.item is None and self.type.name in _TEXTS

    @property
    def text(self) -> str:
        """The column as ``text``; the same expression as in the index."""
        sql = f"{self.sql}::text" if self.type.name in {"bpchar", "citext", "name"} else self.sql
        return sql if self.folds else f'({sql} COLLATE "C")'


def where(query: Query, columns: Mapping[str, Filterable], *, is_utf8: bool) -> str:
    """The WHERE for the query's filters; empty where none can be judged.

    Args:
        is_utf8: whether the database holds every character.
    """
    conditions = [_keys(columns[key.column], key, is_utf8=is_utf8) for key in query.keys]
    if query.changed:
        conditions.append(_changed(columns[query.changed.column], query.changed))
    known = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(known)}" if known else ""


def folding_probe(column: Filterable, relation: str) -> str:
    """A SELECT of one boolean: what ``Filterable.folds`` is; it fails where nothing works."""
    sql = f"coalesce((SELECT {column.sql} FROM {relation} LIMIT 0), '{_LETTERS}')"
    text = f"{sql}::text"
    same = sql if column.type.name == "citext" else f"lower({text})"
    return f"SELECT {same} = '{_LETTERS.lower()}' AND {text} ~ '{ODD}'"


def _keys(column: Filterable, key: KeyFilter, *, is_utf8: bool) -> str | None:
    if not key.values:
        return _FALSE
    if column.type.item is not None:
        return _overlap(column, key)
    if column.is_text:
        return _in_texts(column, key, is_utf8=is_utf8)
    literals = _literals(column.type.name, key, column.declared.kind if column.declared else None)
    return None if literals is None else _equal(column, literals)


def _literals(name: str, key: KeyFilter, kind: str | None) -> list[str] | None:
    """The values as a type without texts writes them; None where they can't be judged."""
    if name == "uuid" and kind in {None, "uuid", "string"}:
        return [v for v in map(str, key.values) if UUID.fullmatch(v)]
    if kind not in {None, "integer", "string"}:
        return None
    if name in _INTEGERS:
        most = _INTEGERS[name]
        numbers = decimals(key.values)
        return [str(int(v)) for v in numbers if v == int(v) and -most <= v < most]
    if name == "numeric":
        special = any(str(v).lower() in _NOT_FINITE for v in key.values)
        return None if special else [format(v, "f") for v in decimals(key.values)]
    if name == "float8":
        whole = integers(key.values)
        exact = len(whole) == len(set(key.values)) and all(abs(v) <= SAFE_INTEGER for v in whole)
        return [str(v) for v in whole] if exact else None
    return None


def _overlap(column: Filterable, key: KeyFilter) -> str | None:
    item, declared = column.type.item, column.declared
    assert item is not None
    if item.item or item.domain or (declared and declared.kind != "array"):
        return None
    kind = declared.item if declared else None
    found: list[str] | None = None
    if item.name not in _TEXTS:
        found = _literals(item.name, key, kind)
    elif kind in {None, "string"} and not key.loose:
        found = texts(key.values, of_integers=_are_integers(key))
    if found is None:
        return None
    return f"{column.sql} && {_array(found)}" if found else _FALSE


def _in_texts(column: Filterable, key: KeyFilter, *, is_utf8: bool) -> str | None:
    kind = column.declared.kind if column.declared else None
    spelt = kind in {"uuid", "objectid"}
    if not spelt and kind not in {None, "integer", "string", "password_hash"}:
        return None
    is_integer = kind == "integer" or _are_integers(key)
    loose = key.loose or spelt
    folds = loose and not is_integer
    found = folded_texts(key.values) if folds else texts(key.values, of_integers=is_integer)
    held = [text for text in found if is_utf8 or text.isascii()]
    if not found or (not loose and len(held) == len(found)):
        return _equal(column, held)
    # citext folds by itself, and its ordinary index serves.
    folds = folds and not (column.type.name == "citext" and column.folds)
    condition = _any(f"lower({column.text})" if folds else column.sql, held)
    return f"({condition} OR {column.text} !~ '{ODD}')"


def _are_integers(key: KeyFilter) -> bool:
    return any(isinstance(value, int) for value in key.values)


def _equal(column: Filterable, literals: list[str]) -> str:
    condition = _any(column.sql, literals)
    if column.array and literals:
        # An index on the array finds its row; the other elements there are left out.
        condition += f" AND {column.array} && {_array(literals)}"
    return condition


def _any(sql: str, literals: list[str]) -> str:
    # A literal without a type becomes an array of the column's own.
    return f"{sql} = ANY({_array(literals)})" if literals else _FALSE


def _array(literals: Iterable[str]) -> str:
    """An array as an SQL literal."""
    quoted = (f'"{each.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
              for each in literals)  # fmt: skip
    return literal("{" + ",".join(quoted) + "}")


def _changed(column: Filterable, changed: ChangeFilter) -> str | None:
    kind = column.declared.kind if column.declared else "timestamp"
    name = column.type.name
    if column.type.item or column.array or kind not in {"timestamp", "date"}:
        return None
    if name not in {"timestamptz", "timestamp", "date"}:
        return None
    slack = timedelta(0) if name == "timestamptz" else ZONE_SLACK
    if kind == "date" and name != "date":
        slack = DATE_SLACK
    since, until = bounds(changed, slack)
    if name == "date":
        return f"{column.sql} BETWEEN '{since.date()}'::date AND '{until.date()}'::date"
    zone = "+00" if name == "timestamptz" else ""
    first, last = (f"'{each.isoformat(' ')}{zone}'::{name}" for each in (since, until))
    return f"({column.sql} >= {first} AND {column.sql} < {last})"
