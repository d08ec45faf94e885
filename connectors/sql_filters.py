"""The WHERE of a query's filters in MariaDB, MySQL and SQLite, with bound parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from connectors.sql_types import SqlColumn
from core.records import ChangeFilter, KeyFilter, Query
from core.values import ColumnType

TEXT_KINDS = frozenset({None, "string", "integer", "uuid", "objectid", "password_hash"})
"""Kinds as which a text is judged by its letters."""


class Condition(NamedTuple):
    """A condition and the values of its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


NOTHING = Condition("1 = 0")


@dataclass(frozen=True)
class Filterable:
    """A column as conditions see it.

    ``charset`` and ``folds`` are what a probe told of a text column: its character set, and
    whether the same ASCII letters in another case are equal there; None where letters are no
    value of the column.
    """

    sql: str
    column: SqlColumn
    declared: ColumnType | None
    charset: str = ""
    folds: bool | None = False

    @property
    def kind(self) -> str | None:
        return self.declared.kind if self.declared else None


class Rules(NamedTuple):
    """A database's way: its conditions, and the probe of a column of a relation.

    The probe is a SELECT of one row: the ``charset`` and ``folds`` of ``Filterable``; None where
    these don't matter. A condition is None where the filter can't be judged.
    """

    keys: Callable[[Filterable, KeyFilter], Condition | None]
    changed: Callable[[Filterable, ChangeFilter], Condition | None]
    probe: Callable[[Filterable, str], str | None]


def where(query: Query, columns: Mapping[str, Filterable], rules: Rules) -> Condition:
    """The WHERE for the query's filters; empty where none can be judged.

    Args:
        columns: by name; what stands inside of JSON is not among them.
    """
    conditions: list[Condition | None] = []
    for key in query.keys:
        if not key.values:
            conditions.append(NOTHING)
        elif key.column in columns:
            conditions.append(rules.keys(columns[key.column], key))
    if query.changed and query.changed.column in columns:
        conditions.append(rules.changed(columns[query.changed.column], query.changed))
    return joined([each for each in conditions if each], " AND ", " WHERE {}")


def joined(conditions: list[Condition], word: str, form: str = "({})") -> Condition:
    """The conditions as one; an empty one of none."""
    if not conditions:
        return Condition("")
    sql = form.format(word.join(each.sql for each in conditions))
    return Condition(sql, tuple(value for each in conditions for value in each.parameters))
