"""Presence: where an object of the profile has anything to hold."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from core.plan import DatasetPlan, Plan
from core.shape import Leaf, ObjectNode
from transforms.fields import found_column, present_column


def presence(node: ObjectNode, plan: Plan, joined: Collection[str]) -> pl.Expr:
    """Whether an object has a row of its own, or a lookup that found one.

    Args:
        node: the object.
        plan: the plan of the run.
        joined: the datasets whose rows are in the frame.
    """
    present = []
    for name in dict.fromkeys(node.fed_by or _feeding(node)):
        if name in joined:
            here = pl.col(present_column(name))
            lookup = _only_lookup(node, plan.datasets[name]) if node.group_of else None
            if lookup is not None:
                here = here & pl.col(found_column(name, lookup))
            present.append(here)
    return pl.any_horizontal(present) if present else pl.lit(value=False)


def _feeding(node: ObjectNode) -> list[str]:
    """The datasets whose fields stand in an object or in its groups."""
    names: list[str] = []
    for item in node.items.values():
        if isinstance(item, Leaf):
            names += [name for name, _ in item.feeds]
        elif isinstance(item, ObjectNode):
            names += _feeding(item)
    return names


def _only_lookup(node: ObjectNode, entry: DatasetPlan) -> str | None:
    """The lookup that all fields of a group come from, if they do."""
    prefixes = set()
    for item in node.items.values():
        if not isinstance(item, Leaf):
            return None
        for name, path in item.feeds:
            if name == entry.name:
                column = entry.dataset.fields[path].column or path
                prefixes.add(column.partition(".")[0] if column in entry.late_names else "")
    only = prefixes.pop() if len(prefixes) == 1 else ""
    return only if only in entry.dataset.lookups else None
