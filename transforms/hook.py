"""Hook: a dataset's own Python function, run on its typed rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pandas as pd
import polars as pl
import pyarrow as pa

from core.errors import ConfigError
from core.pipeline import Column
from core.plan import DatasetPlan
from core.records import ABSENT
from transforms.columns import REASON
from transforms.typed import typed

Hook = Callable[[pd.DataFrame], pd.DataFrame]

_FIRST = 1
"""The first label of the index that hooks get. Not 0, so that an index made anew is noticed."""


class _Unfit(Exception):
    """What a hook gave back can't be taken; carries why, without values."""


def transformed(
    rows: pl.DataFrame, plan: DatasetPlan, hook: Hook, filtered: Counter[str]
) -> pl.DataFrame:
    """The rows as the hook gives the good ones back; those that it leaves out are filtered.

    Raises:
        ConfigError: the hook failed, added rows, or gave no frame with the columns promised.
    """
    assert plan.dataset.transform is not None
    good = rows.filter(pl.col(REASON).is_null())
    given = good.select(list(plan.columns)).to_arrow(compat_level=pl.CompatLevel.oldest())
    frame = given.to_pandas(types_mapper=pd.ArrowDtype)
    frame.index = pd.RangeIndex(_FIRST, _FIRST + good.height)
    try:
        made = hook(frame)
        kept = good[_positions(made, plan, good.height)]
        raw = pl.from_arrow(pa.Table.from_pandas(made[_wanted(plan)], preserve_index=False))
    except _Unfit as unfit:
        problem = str(unfit)
    except Exception as error:  # a hook is foreign code: whatever it raises ends the run
        problem = type(error).__name__  # its text may hold a row's values
    else:
        assert isinstance(raw, pl.DataFrame)
        filtered["transform"] += good.height - kept.height
        bad = rows.filter(pl.col(REASON).is_not_null())
        again = _retyped(raw, kept, plan)
        bad = bad.select(column for column in again.columns if column in bad.columns)
        return pl.concat([again, bad], how="diagonal")
    function = plan.dataset.transform.function
    raise ConfigError(f"{plan.name}: transform {function} failed: {problem}") from None


def _positions(made: pd.DataFrame, plan: DatasetPlan, given: int) -> list[int]:
    """Which of the given rows each row of a hook's frame is."""
    if not isinstance(made, pd.DataFrame):
        raise _Unfit("it gives no DataFrame")
    missing = [column for column in _wanted(plan) if column not in made.columns]
    if missing:
        raise _Unfit(f"it gives no column {', '.join(missing)}")
    if not made.index.is_unique or not made.index.isin(range(_FIRST, _FIRST + given)).all():
        raise _Unfit("it must keep the index of the frame that it takes, and add no rows")
    return [label - _FIRST for label in made.index.to_list()]


def _wanted(plan: DatasetPlan) -> list[str]:
    return [*plan.columns, *plan.transform_columns]


def _retyped(raw: pl.DataFrame, kept: pl.DataFrame, plan: DatasetPlan) -> pl.DataFrame:
    """A hook's columns in their types, with those that it can't change."""
    specs = {**dict.fromkeys(plan.columns, Column()), **plan.transform_columns}
    unchanged = _encoded(plan)
    columns = {n: (raw[n], spec) for n, spec in specs.items() if n not in unchanged}
    absent = [column for column in kept.columns if column.startswith(ABSENT)]
    return typed(raw, columns, plan).with_columns([kept[name] for name in [*unchanged, *absent]])


def _encoded(plan: DatasetPlan) -> list[str]:
    """Columns that hooks see but can't change: their typed form is no longer the source's."""
    return [name for name in plan.columns if plan.types[name].kind == "binary"]
