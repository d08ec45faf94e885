"""Resolve: a plan and what the sources say of their columns → a plan whose types are known.

All that the types decide is judged here, on empty frames, before a row is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from core.errors import ConfigError
from core.expressions import condition, type_problem
from core.pipeline import USER_ID_COLUMN, FieldEntry, UserId, Where
from core.plan import DatasetPlan, Plan
from core.shape import Leaf, fields_of, leaves_of
from core.values import ColumnType
from transforms.casts import resolve_type, typed_dtype
from transforms.element_keys import field_expression, key_expression
from transforms.fields import aggregate_expression
from transforms.lookup import in_order
from transforms.resolve_index import index_problems

Schema = dict[str, pl.DataType]

_SUMMABLE = ("integer", "number", "decimal")


def resolved(plan: Plan, described: Mapping[str, Mapping[str, ColumnType]]) -> Plan:
    """The plan with the type of every column.

    Args:
        described: by dataset, the type of each column of its query, as connectors tell it.

    Raises:
        ConfigError: with every place where types do not go together.
    """
    datasets = {
        name: replace(entry, types=_types(entry, described[name]))
        for name, entry in plan.datasets.items()
    }
    whole = replace(plan, datasets={n: _with_late_types(e, datasets) for n, e in datasets.items()})
    datasets = dict(whole.datasets)
    schemas = {name: schema_of(whole, name) for name in datasets}
    problems = []
    for entry in datasets.values():
        problems += [f"datasets → {entry.name}: {p}" for p in _zoneless(entry, described)]
        problems += [f"datasets → {entry.name}: {p}" for p in _dataset(whole, entry, schemas)]
    for name, link in plan.pipeline.links.items():
        if link.where is not None:
            wrong = _condition("where", link.where, schemas[link.dataset])
            problems += [f"links → {name} → {problem}" for problem in wrong]
    problems += [f"survivorship → {p}" for p in _survivorship(whole, schemas)]
    if not problems:
        made = {name: _fields(entry, schemas[name])[0] for name, entry in datasets.items()}
        problems += [f"index → {problem}" for problem in index_problems(whole, made)]
    if problems:
        raise ConfigError(problems)
    return whole


def user_id_dtype(spec: UserId) -> pl.DataType:
    """The type of the user id's column in frames."""
    return pl.Int64() if spec.type == "integer" else pl.String()


def schema_of(plan: Plan, name: str) -> Schema:
    """All columns that a dataset's expressions may use, with their types in frames."""
    entry = plan.datasets[name]
    types = {**entry.types, **entry.late_types}
    schema: Schema = {column: typed_dtype(t) for column, t in types.items()}
    schema[USER_ID_COLUMN] = user_id_dtype(plan.pipeline.profile.user_id)
    return schema


def empty_rows(plan: Plan, name: str) -> pl.DataFrame:
    """A dataset's typed columns, without a row."""
    types = plan.datasets[name].types
    return pl.DataFrame(schema={column: typed_dtype(t) for column, t in types.items()})


def _types(entry: DatasetPlan, described: Mapping[str, ColumnType]) -> dict[str, ColumnType]:
    types = {name: resolve_type(column, described[name]) for name, column in entry.columns.items()}
    for name, column in entry.transform_columns.items():
        assert column.declared is not None
        types[name] = column.declared
    return types


def _with_late_types(entry: DatasetPlan, datasets: Mapping[str, DatasetPlan]) -> DatasetPlan:
    types = {}
    for use in entry.late_names:
        prefix, _, column = use.partition(".")
        link = dict(entry.links).get(prefix)
        origin = link.dataset if link is not None else entry.dataset.lookups[prefix].dataset
        types[use] = datasets[origin].types[column]
    return replace(entry, late_types=types)


def _dataset(plan: Plan, entry: DatasetPlan, schemas: Mapping[str, Schema]) -> Iterator[str]:
    schema = schemas[entry.name]
    if entry.dataset.where is not None:
        yield from _condition("where", entry.dataset.where, schema)
    yield from _key_types(plan, entry, schemas)
    yield from _fields(entry, schema)[1]
    for order in [*entry.dataset.order_by, *entry.dataset.primary_key]:
        if order.split()[0] not in schema:
            yield f"there is no column {order.split()[0]!r}"


def _zoneless(
    entry: DatasetPlan, described: Mapping[str, Mapping[str, ColumnType]]
) -> Iterator[str]:
    """Columns of which no value could be used, as it has no zone."""
    for name, column in entry.columns.items():
        is_naive = described[entry.name][name].zoned is False
        if is_naive and entry.types[name].kind == "timestamp":
            if column.timezone is None and entry.dataset.timezone is None:
                yield f"{name} is a time without a zone; say the `timezone` of its clock"


def _condition(place: str, where: Where, schema: Schema) -> Iterator[str]:
    found = _outcome(condition(where), schema)
    if isinstance(found, str):
        yield f"{place}: {found}"
    elif found not in (pl.Boolean, pl.Null):
        yield f"{place}: it gives {found}, not true or false"


def _outcome(expression: pl.Expr, schema: Schema) -> pl.DataType | str:
    """The type that an expression gives, or why it can't."""
    problem = type_problem(expression, schema)
    if problem is not None:
        return problem
    return pl.DataFrame(schema=schema).select(expression.alias("_")).schema["_"]


def _fields(entry: DatasetPlan, schema: Schema) -> tuple[Schema, list[str]]:
    """The types of a dataset's fields, and what is wrong with them."""
    fields: Schema = {}
    problems: list[str] = []
    for name, declared in fields_of(entry.dataset).items():
        columns = fields if entry.is_aggregated and declared.derive is not None else schema
        found = _field(name, declared, entry, columns)
        if isinstance(found, str):
            hint = "; it may use the fields before it" if columns is fields else ""
            problems.append(f"fields → {name}: {found}{hint}")
        else:
            fields[name] = found
    return fields, problems


def _field(
    name: str, declared: FieldEntry, entry: DatasetPlan, columns: Schema
) -> pl.DataType | str:
    if declared.aggregate is None:
        found = _outcome(field_expression(name, declared), columns)
    else:
        of = entry.type_of(declared.of or "")
        if declared.aggregate == "sum" and of is not None:
            if of.kind not in _SUMMABLE or (of.kind == "decimal" and of.scale is None):
                return f"{declared.of!r} can't be added up as {of}; for a decimal say its `scale`"
        for problem in _condition("where", declared.where or {}, columns):
            return problem
        found = _outcome(aggregate_expression(declared, entry), columns)
    if isinstance(found, str) or _is_writable(found):
        return found
    return f"it gives {found}, which has no form in JSON; CAST it to VARCHAR"


def _is_writable(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone is not None
    if isinstance(dtype, pl.List):
        return dtype.inner in (pl.String, pl.Boolean) or dtype.inner.is_integer()
    plain = (pl.String, pl.Boolean, pl.Date, pl.Decimal, pl.Null)
    return dtype in plain or dtype.is_integer() or dtype.is_float()


def _key_types(plan: Plan, entry: DatasetPlan, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Keys that are compared must be of one type on both sides."""
    columns, holder = entry.first_key, entry
    for name, link in entry.links:
        crosswalk = plan.datasets[link.dataset]
        for left, right in zip(columns, link.from_, strict=True):
            here, there = _key_kind(holder.types[left]), _key_kind(crosswalk.types[right])
            if here != there:
                yield (
                    f"link {name}: {holder.name}.{left} is {here}, {link.dataset}.{right} is "
                    f"{there}; declare the type of one of them in `columns`"
                )
        columns, holder = link.to, crosswalk
    for alias in entry.dataset.lookups.keys() - in_order(entry):
        yield f"lookup {alias}: it waits for its own column"
    for lookup in entry.dataset.lookups.values():
        other = plan.datasets[lookup.dataset]
        on, key = entry.type_of(lookup.on), other.types[lookup.key]
        if on is None or typed_dtype(on) != typed_dtype(key):
            yield f"lookup on {lookup.on}: it is {on}, {other.name}.{lookup.key} is {key}"
    for parent in entry.parent_datasets:
        for match in entry.matches:
            above = _outcome(key_expression(plan.datasets[parent], match.element), schemas[parent])
            own = schemas[entry.name].get(match.column)
            if own != above:
                yield (
                    f"into: {match.column} is {own}, but {match.element} of {parent} is {above}; "
                    "declare the type of one of them in `columns`"
                )


def _key_kind(column: ColumnType) -> str:
    kind = column.item if column.kind == "array" else column.kind
    return "integer" if kind == "integer" else "text"


def _survivorship(plan: Plan, schemas: Mapping[str, Schema]) -> Iterator[str]:
    for path, leaf in leaves_of(plan.shape.root):
        rule = plan.pipeline.survivorship.get(path)
        if rule is not None:
            yield from _one_type(f"{path}: its sources give", _fed(leaf, schemas, plan))
        if rule is not None and rule.policy == "latest":
            cursors = {
                schemas[name][cursor]
                for name, _ in leaf.feeds
                if (cursor := plan.datasets[name].dataset.cursor) is not None
            }
            yield from _one_type(f"{path}: the cursors of its sources are", cursors)


def _fed(leaf: Leaf, schemas: Mapping[str, Schema], plan: Plan) -> set[pl.DataType]:
    fields = [_fields(plan.datasets[name], schemas[name])[0].get(path) for name, path in leaf.feeds]
    return {found for found in fields if found is not None}


def _one_type(what: str, types: set[pl.DataType]) -> Iterator[str]:
    if len(types) > 1:
        yield f"{what} {' and '.join(sorted(map(str, types)))}; they must be of one type"
