"""Writes a day's move into the databases: only the rows that differ, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from devstack.bank.core_rows import Frames
from devstack.bank.documents import COLLECTIONS
from devstack.bank.schema import CARDS, CORE, LENDING
from devstack.bank.writers import Writer

_SQL = {**CORE, **CARDS, **LENDING}


def write_move(writers: Mapping[str, Writer], before: Frames, after: Frames) -> int:
    """Writes what differs between two states of a block; gives the number of rows written."""
    written = 0
    for writer in writers.values():
        fresh: Frames = {}
        for table in writer.tables:
            if table in before:
                gone, fresh[table] = _difference(table, before, after)
                if gone.height:
                    writer.remove(table, gone)
        if "wish_list" in fresh:
            lists = fresh["wish_list"]["_id"].implode()
            fresh["wish_item"] = after["wish_item"].filter(pl.col("_list").is_in(lists))
        written += writer.write(fresh)
        writer.commit()
    return written


def _difference(table: str, before: Frames, after: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The keys of the rows that are gone or changed, and the rows that are new or changed."""
    if table in COLLECTIONS:
        columns, key = before[table].columns, ["_id"]
    else:
        columns, key = list(_SQL[table].columns), list(_SQL[table].key)
    gone = _without(before[table], after[table], columns)
    fresh = _without(after[table], before[table], columns)
    if table == "wish_list":
        items = before["wish_item"].columns
        changed = pl.concat(
            [
                _without(before["wish_item"], after["wish_item"], items),
                _without(after["wish_item"], before["wish_item"], items),
            ]
        )
        touched = pl.concat([changed["_list"], gone["_id"], fresh["_id"]]).implode()
        gone = before[table].filter(pl.col("_id").is_in(touched))
        fresh = after[table].filter(pl.col("_id").is_in(touched))
    return gone.select(key), fresh


def _without(rows: pl.DataFrame, others: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return rows.join(others, on=columns, how="anti", nulls_equal=True, maintain_order="left")
