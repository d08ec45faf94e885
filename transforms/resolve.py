"""Resolve: a plan and what the sources say of their columns → a plan whose types are known.

All that the types decide is judged here, on empty frames, before a row is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from core.errors import ConfigError
from core.expressions import condition, formula, type_problem
from core.pipeline import USER_ID_COLUMN, FieldEntry, UserId
from core.plan import DatasetPlan, Plan
from core.shape import Leaf, ListNode, ObjectNode, fields_of
from core.values import ColumnType
from transforms.casts import resolve_type, typed_dtype
from transforms.element_keys import field_expression
from transforms.fields import aggregate_expression

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
    whole = replace(plan, datasets=datasets)
    schemas = {name: schema_of(whole, name) for name in datasets}
    problems = []
    for entry in datasets.values():
        problems += [f"datasets → {entry.name}: {p}" for p in _dataset(whole, entry, schemas)]
    problems += [f"survivorship → {p}" for p in _survivorship(whole.shape.root, schemas, whole)]
    if problems:
        raise ConfigError(problems)
    return whole


def user_id_dtype(spec: UserId) -> pl.DataType:
    """The type of the user id's column in frames."""
    return pl.Int64() if spec.type == "integer" else pl.String()


def schema_of(plan: Plan, name: str) -> Schema:
    """All columns that a dataset's expressions may use, with their types in frames."""
    entry = plan.datasets[name]
    schema: Schema = {column: typed_dtype(t) for column, t in entry.types.items()}
    schema[USER_ID_COLUMN] = user_id_dtype(plan.pipeline.profile.user_id)
    for use in entry.late_names:
        prefix, _, column = use.partition(".")
        origin = (
            plan.pipeline.links[prefix].dataset
            if prefix in dict(entry.links)
            else entry.dataset.lookups[prefix].dataset
        )
        schema[use] = typed_dtype(plan.datasets[origin].types[column])
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


def _dataset(plan: Plan, entry: DatasetPlan, schemas: Mapping[str, Schema]) -> Iterator[str]:
    schema = schemas[entry.name]
    if entry.dataset.where is not None:
        problem = type_problem(condition(entry.dataset.where), schema)
        if problem is not None:
            yield f"where: {problem}"
    yield from _key_types(plan, entry, schemas)
    fields: Schema = {}
    for name, declared in fields_of(entry.dataset).items():
        expression = _typed_field(name, declared, entry)
        if isinstance(expression, str):
            yield f"fields → {name}: {expression}"
            continue
        if expression is None:
            continue
        problem = type_problem(expression, schema)
        if problem is not None:
            yield f"fields → {name}: {problem}"
            continue
        fields[name] = pl.DataFrame(schema=schema).select(expression.alias(name)).schema[name]
    if entry.is_aggregated:
        for name, declared in fields_of(entry.dataset).items():
            if declared.derive is not None:
                problem = type_problem(formula(declared.derive), fields)
                if problem is not None:
                    yield f"fields → {name}: {problem}; it may use the fields before it"
                    continue
                derived = pl.DataFrame(schema=fields).select(formula(declared.derive).alias(name))
                fields[name] = derived.schema[name]
    for order in [*entry.dataset.order_by, *entry.dataset.primary_key]:
        if order.split()[0] not in schema:
            yield f"there is no column {order.split()[0]!r}"


def _typed_field(name: str, declared: FieldEntry, entry: DatasetPlan) -> pl.Expr | str | None:
    if declared.aggregate is not None:
        of = entry.types.get(declared.of or "")
        if declared.aggregate == "sum" and of is not None:
            if of.kind not in _SUMMABLE or (of.kind == "decimal" and of.scale is None):
                return f"{declared.of!r} can't be added up as {of}; for a decimal say its `scale`"
        return aggregate_expression(declared)
    if entry.is_aggregated:
        return None
    return field_expression(name, declared)


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
    for lookup in entry.dataset.lookups.values():
        other = plan.datasets[lookup.dataset]
        on, key = entry.types[lookup.on], other.types[lookup.key]
        if typed_dtype(on) != typed_dtype(key):
            yield f"lookup on {lookup.on}: it is {on}, {other.name}.{lookup.key} is {key}"
    for parent in entry.parent_datasets:
        for match in entry.matches:
            above = plan.datasets[parent]
            fields = fields_of(above.dataset)
            expression = (
                field_expression(match.element, fields[match.element])
                if match.element in fields
                else pl.col(match.element)
            )
            above_key = pl.DataFrame(schema=schemas[parent]).select(expression.alias("k"))
            own = schemas[entry.name].get(match.column)
            if own != above_key.schema["k"]:
                yield (
                    f"into: {match.column} is {own}, but {match.element} of {parent} is "
                    f"{above_key.schema['k']}; "
                    "declare the type of one of them in `columns`"
                )


def _key_kind(column: ColumnType) -> str:
    kind = column.item if column.kind == "array" else column.kind
    return "integer" if kind == "integer" else "text"


def _survivorship(node: ObjectNode, schemas: Mapping[str, Schema], plan: Plan) -> Iterator[str]:
    for item in node.items.values():
        if isinstance(item, ObjectNode):
            yield from _survivorship(item, schemas, plan)
        elif isinstance(item, Leaf) and len(item.feeds) > 1:
            types = {
                str(
                    pl.DataFrame(schema=schemas[name])
                    .select(
                        field_expression(path, fields_of(plan.datasets[name].dataset)[path]).alias(
                            "v"
                        )
                    )
                    .schema["v"]
                )
                for name, path in item.feeds
            }
            if len(types) > 1:
                path = ".".join((*node.path, item.name))
                given = " and ".join(sorted(types))
                yield f"{path}: its sources give {given}; a field has one type"
        elif isinstance(item, ListNode):
            continue
