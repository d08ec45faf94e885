"""Judges the search index by the types of what it indexes.

RediSearch leaves a whole document out, without an error, where one value does not suit its field.
So what does not suit is refused here, before anything is indexed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from core.check_index import Feed, feeds_at
from core.index import FieldType, IndexField
from core.plan import Plan
from core.shape import fields_of
from core.values import ColumnType, Kind
from transforms.fields import field_kind

_SUITS: dict[FieldType, frozenset[str]] = {
    "text": frozenset(("string", "string[]")),
    "tag": frozenset(("string", "string[]", "boolean")),
    "numeric": frozenset(("number", "number[]")),
    "geo": frozenset(("string", "string[]")),
}
_NUMBERS: frozenset[Kind] = frozenset(("integer", "number"))
_HINTS = {
    ("numeric", "string"): "; in a formula CAST(… AS DOUBLE) makes a number of it",
    ("tag", "number"): "; in a formula CAST(… AS VARCHAR) makes a text of it",
}


def index_problems(plan: Plan, made: Mapping[str, Mapping[str, pl.DataType]]) -> Iterator[str]:
    """What of the index does not suit the values, each with the field's name.

    Args:
        made: by dataset and field, the type in frames.
    """
    index = plan.pipeline.index
    for field in index.fields if index is not None else ():
        if field.steps[0].name in plan.carried:
            continue  # its source is down and tells no types; the values are those of before
        types = {_json_type(plan, feed, made) for feed in feeds_at(plan.shape, field.steps)}
        if not types:
            types = {"number" if plan.pipeline.profile.user_id.type == "integer" else "string"}
        for found in sorted(types):
            yield from (f"{field.name}: {problem}" for problem in _problems(field, found))


def _problems(field: IndexField, found: str) -> Iterator[str]:
    """What is wrong with a field over values of a type, as ``string`` or ``string[]``."""
    *around, last = field.steps
    in_list, is_array = any(step.each for step in around), found.endswith("[]")
    if last.each and not is_array:
        yield f"{last.name!r} is no list: write it without [*]"
    elif in_list and is_array and not last.each:
        yield f"{last.name!r} is a list: write {last.name}[*]"
    elif field.unique and (in_list or found != "string"):
        yield "only a field with one text a user can be unique"
    else:
        values = found if is_array or not in_list else f"{found}[]"
        if values not in _SUITS[field.type]:
            yield _text(field, values)


def _text(field: IndexField, found: str) -> str:
    if found.startswith("json"):
        return "it is JSON of any type, which might not suit; give it a column of its own"
    hint = _HINTS.get((field.type, found.removesuffix("[]")), "")
    return f"`{field.type}` does not suit a {found}: such profiles would not be found at all{hint}"


def _json_type(plan: Plan, feed: Feed, made: Mapping[str, Mapping[str, pl.DataType]]) -> str:
    entry = plan.datasets[feed.dataset]
    if feed.field is None:
        return _of_kind(entry.type_of(entry.dataset.value or "")) + "[]"
    dtype = made[feed.dataset][feed.field]
    kind = field_kind(entry, feed.field, fields_of(entry.dataset)[feed.field])
    if kind == "array":
        declared = fields_of(entry.dataset)[feed.field]
        return _of_kind(entry.type_of(declared.of or declared.column or feed.field))
    return "json" if kind == "json" else _of_dtype(dtype)


def _of_kind(column: ColumnType | None) -> str:
    if column is None or column.kind == "json":
        return "json"
    if column.kind == "array":
        return "json" if column.item is None else _of_kind(ColumnType(column.item)) + "[]"
    if column.kind in _NUMBERS:
        return "number"
    return "boolean" if column.kind == "boolean" else "string"


def _of_dtype(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        return _of_dtype(pl.Series(dtype=dtype).explode().dtype) + "[]"
    if dtype.is_integer() or dtype.is_float():
        return "number"
    return "boolean" if dtype == pl.Boolean else "string"
