"""Merge: the settled rows of some buckets → one profile and one credential body per user.

From the innermost lists outwards: the rows of each list become JSON text by columns, are joined
per element of the list around, and at the root per user. No Python runs per user or row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from core.into import Match
from core.plan import DatasetPlan, Plan
from core.shape import Leaf, ListNode, ObjectNode
from transforms.columns import BUCKET, USER_ID
from transforms.element_keys import element_keys
from transforms.encode import Part, json_ready, object_inner, object_text, object_value, scalar_text
from transforms.fields import (
    Fields,
    fields_frame,
    present_column,
)
from transforms.lookup import with_lookups
from transforms.presence import presence
from transforms.settle import Settled
from transforms.survivorship import survivor

_TEXT = "__text"
_ELEMENT = "__element."
_CARRIED = "__carried."
_EMPTY = {"null": "null", "list": "[]", "object": "{}"}


def bodies(
    plan: Plan,
    settled: Settled,
    lookups: Mapping[str, pl.DataFrame],
    carried: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """A body per settled user, in their order.

    Args:
        plan: the plan of the run.
        settled: the rows that make the documents.
        lookups: reference rows by ``dataset:key``.
        carried: ``USER_ID`` and, where the plan carries sections forward, their JSON texts under
            the sections' names; null where a user has none.

    Returns:
        Columns ``USER_ID``, ``BUCKET``, ``body`` (JSON text without the last brace) and
        ``credential`` (likewise; null for users without secret fields).
    """
    rows = {
        name: with_lookups(frame, plan.datasets[name], lookups, plan.datasets[name].late_names)
        for name, frame in settled.rows.items()
    }
    users = settled.users
    if carried is not None:
        texts = carried.select(
            USER_ID, *(pl.col(name).alias(_CARRIED + name) for name in plan.carried)
        )
        users = users.join(texts, on=USER_ID, how="left", maintain_order="left")
    scope = _Scope(plan, rows, users)
    root = plan.shape.root
    scope.fill(root)
    user_id = Part("user_id", pl.col(USER_ID))
    body = pl.concat_str(pl.lit("{"), *object_inner([user_id, *scope.parts(root, secret=False)]))
    credential = pl.lit(None, pl.String)
    secret = scope.parts(root, secret=True)
    if secret:
        owners = [name for name in scope.fields if _has_secrets(plan.datasets[name])]
        has = pl.any_horizontal(pl.lit(value=False), *map(_present, owners))
        text = pl.concat_str(pl.lit("{"), *object_inner([user_id, *secret]))
        credential = pl.when(has).then(text)
    return scope.frame.select(
        USER_ID,
        BUCKET,
        body.alias("body"),
        credential.alias("credential"),
    )


def _present(name: str) -> pl.Expr:
    return pl.col(present_column(name))


def _has_secrets(entry: DatasetPlan) -> bool:
    return any(f.field_class == "secret" for f in entry.dataset.fields.values())


@dataclass
class _Scope:
    """The users, or the elements of a list, while what their object holds is joined to them."""

    plan: Plan
    rows: Mapping[str, pl.DataFrame]
    frame: pl.DataFrame
    own: str | None = None
    """The dataset whose rows are the elements; None for the users."""

    def __post_init__(self) -> None:
        self.fields: dict[str, Fields] = {}

    def fill(self, node: ObjectNode) -> None:
        """Joins what an object and the objects in it hold."""
        for name in node.fed_by:
            self._join_object(name, node.matches[name])
        for name, item in node.items.items():
            if node is self.plan.shape.root and name in self.plan.carried:
                continue
            if isinstance(item, ListNode):
                self._join_list(item)
            elif isinstance(item, ObjectNode):
                self.fill(item)

    def _join_object(self, name: str, matches: tuple[Match, ...]) -> None:
        if name not in self.rows:
            return
        place = [USER_ID, *(match.column for match in matches)]
        made = fields_frame(self.rows[name], self.plan.datasets[name], place)
        self.fields[name] = made
        self._join(made.frame, matches, [match.column for match in matches])
        present = _present(name).fill_null(value=False)
        self.frame = self.frame.with_columns(present)

    def _join_list(self, node: ListNode) -> None:
        column = _list_column(node)
        made = [_elements(self.plan, self.rows, node, name) for name in node.datasets]
        texts = [text for text in made if text is not None]
        if not texts:
            self.frame = self.frame.with_columns(pl.lit(None, pl.String).alias(column))
            return
        matches = node.matches[node.datasets[0]]
        place = [USER_ID, *(_ELEMENT + match.element for match in matches)]
        joined = (
            pl.concat(texts)
            .group_by(place, maintain_order=True)
            .agg(pl.col(_TEXT).alias(column))
            # joined as lists: to join them group by group takes five times as long
            .with_columns(pl.col(column).list.join(","))
        )
        self._join(joined, matches, place[1:])

    def _join(self, side: pl.DataFrame, matches: tuple[Match, ...], columns: list[str]) -> None:
        keys = [_ELEMENT + match.element for match in matches]
        side = side.rename(dict(zip(columns, keys, strict=True)))
        on = [USER_ID, *keys]
        self.frame = self.frame.join(side, on=on, how="left", maintain_order="left")

    def parts(self, node: ObjectNode, *, secret: bool) -> list[Part]:
        """The items of an object that are secret, or those that are not."""
        made: list[Part | None] = []
        for name, item in node.items.items():
            if node is self.plan.shape.root and name in self.plan.carried:
                made.append(None if secret else _carried_part(name))
            elif isinstance(item, Leaf):
                made.append(self._leaf(item, node, secret=secret))
            elif isinstance(item, ListNode):
                made.append(None if secret else _list_part(item))
            else:
                made.append(self._object(item, secret=secret))
        return [part for part in made if part is not None]

    def _leaf(self, leaf: Leaf, node: ObjectNode, *, secret: bool) -> Part | None:
        datasets = self.plan.datasets
        feeds = [
            (name, path)
            for name, path in leaf.feeds
            if (
                datasets[name].dataset.fields.get(path) is not None
                and datasets[name].dataset.fields[path].field_class == "secret"
            )
            is secret
        ]
        if not feeds or (self.own is not None and _of_other_rows(self.own, feeds, datasets)):
            return None
        here = [(n, self.fields[n].columns[p]) for n, p in feeds if n in self.fields]
        if not here:
            return Part(leaf.name, pl.lit(None, pl.String))
        if len(here) > 1:
            path = ".".join((*node.path, leaf.name))
            return survivor(leaf.name, self.plan.pipeline.survivorship[path], dict(here), datasets)
        column = here[0][1]
        present = None if column.absent is None else ~pl.col(column.absent).fill_null(value=False)
        return Part(leaf.name, pl.col(column.name), column.is_text, present)

    def _object(self, node: ObjectNode, *, secret: bool) -> Part | None:
        parts = self.parts(node, secret=secret)
        if not parts:
            return None
        name = node.path[-1]
        value, is_text = object_value(parts)
        if node.holds_others or secret:
            return Part(name, value, is_text)
        present = presence(node, self.plan, self.fields)
        if node.empty == "absent":
            return Part(name, value, is_text, present)
        if node.empty == "null":
            return Part(name, pl.when(present).then(value), is_text)
        text = pl.when(present).then(object_text(parts)).otherwise(pl.lit(_EMPTY[node.empty]))
        return Part(name, text, is_text=True)


def _elements(
    plan: Plan, rows: Mapping[str, pl.DataFrame], node: ListNode, name: str
) -> pl.DataFrame | None:
    """One dataset's elements of a list: ``USER_ID``, the key of the element around, text."""
    frame = rows.get(name)
    if frame is None or not frame.height:
        return None
    entry = plan.datasets[name]
    place = [USER_ID, *(_ELEMENT + match.element for match in node.matches[name])]
    around = frame.select(
        pl.col(column).alias(alias)
        for column, alias in zip(
            [USER_ID, *(match.column for match in node.matches[name])], place, strict=True
        )
    )
    if entry.dataset.value is not None:
        value_type = entry.type_of(entry.dataset.value)
        kind = value_type.kind if value_type is not None else None
        values, is_text = json_ready(frame[entry.dataset.value], kind)
        value = pl.col(_TEXT) if is_text else scalar_text(pl.col(_TEXT))
        text = values.to_frame(_TEXT).select(value.fill_null("null").alias(_TEXT))
        return around.with_columns(text[_TEXT])
    made = fields_frame(frame, entry, [])
    keys = _keys_of(plan, node)
    inner = element_keys(
        frame, entry, [Match(k, k) for k in keys], [USER_ID, *(_ELEMENT + key for key in keys)]
    )
    scope = _Scope(plan, rows, pl.concat([inner, made.frame], how="horizontal"), own=name)
    scope.fields[name] = made
    scope.fill(node.element)
    text = scope.frame.select(object_text(scope.parts(node.element, secret=False)).alias(_TEXT))
    return around.with_columns(text[_TEXT])


def _keys_of(plan: Plan, node: ListNode) -> list[str]:
    """The key fields by which other datasets find the elements of a list."""
    return list(
        dict.fromkeys(
            match.element
            for child, parent in plan.shape.parents.items()
            if parent is node
            for match in plan.shape.targets[child].matches[child]
        )
    )


def _carried_part(section: str) -> Part:
    text = pl.col(_CARRIED + section)
    return Part(section, text, is_text=True, present=text.is_not_null())


def _list_column(node: ListNode) -> str:
    return _TEXT + ".".join(node.path)


def _list_part(node: ListNode) -> Part:
    column = pl.col(_list_column(node))
    text = pl.concat_str(pl.lit("["), column, pl.lit("]"))
    if node.empty == "absent":
        return Part(node.name, text, is_text=True, present=column.is_not_null())
    return Part(node.name, text.fill_null(_EMPTY.get(node.empty, "[]")), is_text=True)


def _of_other_rows(
    own: str, feeds: list[tuple[str, str]], datasets: Mapping[str, DatasetPlan]
) -> bool:
    """Whether a list's field belongs to the elements of another dataset than ``own``."""
    return all(datasets[name].is_list and name != own for name, _ in feeds)
