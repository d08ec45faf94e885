"""How PostgreSQL's types are read: the SQL that prints each value, and what it parses as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from connectors.arrow import TEXT_KINDS
from connectors.relations import Place
from core.values import ColumnType, Kind

KINDS: Mapping[str, Kind] = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "oid": "integer",
    "float4": "number",
    "float8": "number",
    "numeric": "decimal",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "time": "time",
    "timetz": "time",
    "uuid": "uuid",
    "bytea": "binary",
    "json": "json",
    "jsonb": "json",
}
"""All other types arrive as the text that PostgreSQL prints."""

ZONED = {"timestamp": False, "timestamptz": True}

ARROW = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}

TYPES_SQL = """
WITH RECURSIVE needed AS (
    SELECT oid, typname, typtype, typcategory, typbasetype, typtypmod, typelem
    FROM pg_catalog.pg_type WHERE oid = ANY(%s)
    UNION
    SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typtypmod, t.typelem
    FROM needed AS n JOIN pg_catalog.pg_type AS t ON t.oid IN (n.typbasetype, n.typelem)
)
SELECT oid, typname::text, typtype::text, typcategory::text, typbasetype, typtypmod, typelem
FROM needed
"""
"""The types with these oids, the base types of domains and the elements of arrays."""

TypeRow = tuple[int, str, str, str, int, int, int]


@dataclass(frozen=True)
class PgType:
    """A type without its domains; ``item`` is that of an array's elements.

    ``domain`` tells that there was one, which matters where PostgreSQL looks for an array's
    operators.
    """

    name: str
    modifier: int
    composite: bool = False
    item: PgType | None = None
    domain: bool = False

    @property
    def is_json(self) -> bool:
        return self.name in {"json", "jsonb"} and self.item is None

    @property
    def column_type(self) -> ColumnType:
        if self.item is not None:
            # Elements that are bytea stand in the JSON text as PostgreSQL prints them.
            kind = self.item.column_type.kind
            return ColumnType("array", item="string" if kind == "binary" else kind)
        if self.composite:
            return ColumnType("json")
        kind = KINDS.get(self.name, "string")
        precision, scale = _digits(self.modifier) if kind == "decimal" else (None, None)
        return ColumnType(kind, precision, scale, zoned=ZONED.get(self.name))


@dataclass(frozen=True)
class Selected:
    """A column of the statement: its SQL, its type, and how its CSV text is read.

    ``bad`` is an SQL condition for values that PostgreSQL can't print.
    """

    sql: str
    type: ColumnType
    arrow: pa.DataType
    hex: bool = False
    as_text: bool = False
    bad: str | None = None


def resolve(types: Mapping[int, TypeRow], oid: int, modifier: int) -> PgType:
    """The type behind an oid, domains taken away."""
    _, name, kind, category, base, base_modifier, element = types[oid]
    if kind == "d":
        return replace(resolve(types, base, base_modifier), domain=True)
    if category == "A":
        return PgType(name, modifier, item=resolve(types, element, modifier))
    return PgType(name, modifier, composite=kind == "c")


def whole(sql: str, source: PgType, declared: ColumnType | None) -> Selected:
    """A value of a column, or an element of an array, as it is."""
    kind = source.column_type
    if source.item is not None:
        # Numbers in JSON may lose digits in the reader: decimals go as strings.
        cast = "::text[]" if source.item.name == "numeric" else ""
        return Selected(f"to_json({sql}{cast})", declared or kind, pa.string())
    if source.composite:
        return Selected(f"to_json({sql})", declared or kind, pa.string())
    if kind.kind == "binary":
        as_text = declared is not None and declared.kind in TEXT_KINDS
        return Selected(f"encode({sql}, 'hex')", declared or kind, pa.string(), True, as_text)
    return Selected(sql, declared or kind, ARROW.get(kind.kind, pa.string()))


def within(sql: str, source: PgType, place: Place, declared: ColumnType | None) -> Selected:
    """What stands at the steps in a JSON value: its text, or JSON text where that is declared."""
    found = declared or ColumnType("string")
    steps = f"ARRAY[{', '.join(literal(step) for step in place.steps)}]::text[]"
    if found.kind in {"json", "array"}:
        return Selected(f"({sql} #> {steps})", found, pa.string())
    # json may hold \u0000, which text can't; jsonb refuses it on the way in.
    bad = None if source.name == "jsonb" else rf"strpos({sql}::text, '\u0000') > 0"
    printed = f"({sql} #>> {steps})"
    if bad:
        printed = f"CASE WHEN NOT {bad} THEN {printed} END"
    return Selected(printed, found, pa.string(), bad=bad)


def literal(text: str) -> str:
    """An SQL string; ``standard_conforming_strings`` is on."""
    return "'" + text.replace("'", "''") + "'"


def _digits(modifier: int) -> tuple[int | None, int | None]:
    """Precision and scale of a numeric (``make_numeric_typmod`` in PostgreSQL's numeric.c)."""
    if modifier < 0:
        return None, None
    packed = modifier - 4
    return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
