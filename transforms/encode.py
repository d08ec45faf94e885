"""Encode: typed columns → JSON text, by columns.

All text is in orjson's form, the canonical one of ``core.document``: Polars writes strings,
integers, booleans and ordinary doubles the same; the doubles it writes otherwise go through
orjson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from core.values import Kind
from transforms.kept_numbers import nearest_kept, plainly_kept

_RAW_KINDS: frozenset[Kind] = frozenset(("json", "array"))
_PLAIN_BELOW, _PLAIN_ABOVE = 1e16, 1e-4
"""Doubles whose size is between these are written alike by Polars and orjson."""


@dataclass(frozen=True)
class Part:
    """An item of an object: a value that Polars encodes, or one that is JSON text already.

    ``present`` is a boolean expression; where it is false the item is left out.
    """

    name: str
    value: pl.Expr
    is_text: bool = False
    present: pl.Expr | None = None


def json_ready(values: pl.Series, kind: Kind | None) -> tuple[pl.Series, bool]:
    """A typed column as the encoder takes it, and whether that is JSON text already."""
    dtype = values.dtype
    if kind in _RAW_KINDS:
        return values, True
    if dtype == pl.Date:
        return values.dt.to_string("%Y-%m-%d"), False
    if isinstance(dtype, pl.Datetime):
        return values.dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ"), False
    if isinstance(dtype, pl.Decimal):
        return values.cast(pl.String), False
    if dtype.is_float():
        size, kept = values.abs(), plainly_kept(values)
        odd = (values != 0) & ((size >= _PLAIN_BELOW) | (size < _PLAIN_ABOVE))
        if odd.any() or not kept.all():
            texts = map(_double_text, values.to_list(), kept.to_list())
            return pl.Series(values.name, texts, dtype=pl.String), True
    return values, False


def _double_text(value: float | None, kept: bool) -> str | None:
    # Those of a source are kept, or were refused; here are the results of aggregates and formulas.
    if value is None:
        return None
    return orjson.dumps(value if kept else nearest_kept(value)).decode()


def object_inner(parts: Sequence[Part]) -> pl.Expr:
    """The inside of a JSON object, without braces: ``"a":1,"b":[…]``."""
    if not parts:
        return pl.lit("")
    segments: list[pl.Expr] = []
    run: list[pl.Expr] = []

    def flush() -> None:
        if run:
            text = pl.struct(run).struct.json_encode()
            segments.append(text.str.strip_prefix("{").str.strip_suffix("}"))
            segments.append(pl.lit(","))
            run.clear()

    for part in parts:
        if part.present is None and not part.is_text:
            run.append(part.value.alias(part.name))
            continue
        flush()
        name = pl.lit(orjson.dumps(part.name).decode() + ":")
        value = part.value if part.is_text else scalar_text(part.value)
        item = pl.concat_str(name, value.fill_null("null"), pl.lit(","))
        if part.present is not None:
            item = pl.when(part.present).then(item).otherwise(pl.lit(""))
        segments.append(item)
    flush()
    return pl.concat_str(segments).str.strip_suffix(",")


def object_text(parts: Sequence[Part]) -> pl.Expr:
    """A JSON object as text."""
    if parts and all(part.present is None and not part.is_text for part in parts):
        # in one piece: no braces to take off and put on again
        return pl.struct(part.value.alias(part.name) for part in parts).struct.json_encode()
    return pl.concat_str(pl.lit("{"), object_inner(parts), pl.lit("}"))


def scalar_text(value: pl.Expr) -> pl.Expr:
    """A plain value as JSON text."""
    text = pl.struct(value.alias("v")).struct.json_encode()
    return text.str.strip_prefix('{"v":').str.strip_suffix("}")
