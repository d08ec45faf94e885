"""Masks a profile for people: personal values are replaced, their shape stays."""

from __future__ import annotations

from typing import Any

from core.plan import Plan
from core.shape import Leaf, ListNode, ObjectNode

MASK = "•••"


def masked(document: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The document with every value masked that no field declares ``public``."""
    root = plan.shape.root
    return {
        name: value if name in ("user_id", "_meta") else _masked(value, root.items.get(name), plan)
        for name, value in document.items()
    }


def _masked(value: Any, item: Leaf | ListNode | ObjectNode | None, plan: Plan) -> Any:
    if value is None or value == []:
        return value
    if isinstance(item, ListNode) and isinstance(value, list):
        return [_masked(element, item.element, plan) for element in value]
    if isinstance(item, ObjectNode) and isinstance(value, dict):
        return {name: _masked(v, item.items.get(name), plan) for name, v in value.items()}
    if isinstance(item, Leaf) and all(_is_public(plan, *feed) for feed in item.feeds):
        return value
    return MASK


def _is_public(plan: Plan, dataset: str, path: str) -> bool:
    field = plan.pipeline.datasets[dataset].fields.get(path)
    return field is not None and field.field_class == "public"
