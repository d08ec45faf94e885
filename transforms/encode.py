"""Encode: typed columns → JSON text, by columns.

All text is in orjson's form, the canonical one of ``core.document``: Polars writes strings,
integers, booleans and ordinary doubles the same; the doubles it writes otherwise go through
orjson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

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
        # all are UTC: looking that up for each value would take as long again
        naive = values.dt.replace_time_zone(None)
        return naive.dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ"), False
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


def object_inner(parts: Sequence[Part]) -> list[pl.Expr]:
    """The inside of a JSON object, without braces, in pieces to put together: ``"a":1,"b":[…]``."""
    pieces: list[pl.Expr] = []
    for plain, some in groupby(parts, _is_plain):
        if plain:
            text = pl.struct(part.value.alias(part.name) for part in some).struct.json_encode()
            pieces += [pl.lit(","), _without_ends(text, "{", "}")]
        else:
            for part in some:
                pieces += _item(part)
    if parts and parts[0].present is not None:
        # which item is the first to be there is told by each object
        return [pl.concat_str(pieces).str.tail(-1)]
    return pieces[1:]


def _is_plain(part: Part) -> bool:
    return part.present is None and not part.is_text


def _item(part: Part) -> list[pl.Expr]:
    """An item with a comma before it, in pieces; nothing where it is left out."""
    name = pl.lit(orjson.dumps(part.name).decode() + ":")
    value = part.value if part.is_text else scalar_text(part.value)
    pieces = [pl.lit(","), name, value.fill_null("null")]
    if part.present is None:
        return pieces
    return [pl.when(part.present).then(pl.concat_str(pieces)).otherwise(pl.lit(""))]


def object_value(parts: Sequence[Part]) -> tuple[pl.Expr, bool]:
    """A JSON object, and whether it is JSON text already.

    Of values that Polars encodes it is one more: encoded with what stands around it, at once.
    """
    if parts and all(map(_is_plain, parts)):
        return pl.struct(part.value.alias(part.name) for part in parts), False
    return pl.concat_str(pl.lit("{"), *object_inner(parts), pl.lit("}")), True


def object_text(parts: Sequence[Part]) -> pl.Expr:
    """A JSON object as text."""
    value, is_text = object_value(parts)
    return value if is_text else value.struct.json_encode()


def scalar_text(value: pl.Expr) -> pl.Expr:
    """A plain value as JSON text."""
    text = pl.struct(value.alias("v")).struct.json_encode()
    return _without_ends(text, '{"v":', "}")


def _without_ends(text: pl.Expr, before: str, behind: str) -> pl.Expr:
    # cut by numbers: nothing is copied, as strip_prefix would
    return text.str.tail(-len(before)).str.head(-len(behind))
