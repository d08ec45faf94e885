"""Kinds of values: what a column holds, and what a field of a profile may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "string",
    "integer",
    "number",
    "decimal",
    "boolean",
    "date",
    "timestamp",
    "time",
    "uuid",
    "objectid",
    "binary",
    "json",
    "password_hash",
    "array",
]
KINDS: tuple[str, ...] = get_args(Kind)

SAFE_INTEGER = 2**53
"""Integers beyond ± this are exact only as strings in most JSON readers (RFC 8259, section 6)."""

NUMBER_DIGITS = 15
"""Decimals of up to this many digits survive a double unchanged (IEEE 754 binary64)."""


@dataclass(frozen=True)
class ColumnType:
    """The type of a column, declared in the pipeline file or told by the source.

    ``zoned`` matters for timestamps only: True where the source knows the instant, False where none
    of its values has a zone, None where each value tells.
    ``item`` is the kind of an array's elements.
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    zoned: bool | None = None
    item: Kind | None = None

    def __str__(self) -> str:
        return f"{self.item}[]" if self.kind == "array" else self.kind


def parse_type(text: str) -> ColumnType:
    """The type that a name such as ``integer`` or ``string[]`` stands for.

    Raises:
        ValueError: for a name that is no type.
    """
    name, is_array = text.removesuffix("[]"), text.endswith("[]")
    if name not in KINDS or name == "array":
        known = ", ".join(kind for kind in KINDS if kind != "array")
        raise ValueError(f"unknown type {text!r}; known are {known}, and any of them with []")
    kind: Kind = name  # type: ignore[assignment]  # narrowed by the check above
    return ColumnType("array", item=kind) if is_array else ColumnType(kind)
