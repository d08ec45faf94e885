"""Judges the document's shape: fields fed twice, secrets in lists, keys of elements."""

from __future__ import annotations

from collections.abc import Iterator

from core.into import parse_into
from core.pipeline import Pipeline
from core.shape import Leaf, ListNode, ObjectNode, Shape, fields_of

_OWN_FIELDS = ("user_id", "_meta")


def shape_problems(pipeline: Pipeline, shape: Shape) -> Iterator[tuple[str, str]]:
    """Pairs of dataset and what is wrong with its place in the document."""
    for name in _OWN_FIELDS:
        item = shape.root.items.get(name)
        if item is not None:
            text = f"{name!r} at the top of the profile is the pipeline's own field"
            yield _anyone(item), text
    yield from _objects(pipeline, shape.root)
    yield from _elements(pipeline, shape)
    for name, dataset in pipeline.datasets.items():
        target = shape.targets.get(name)
        if target is None:
            continue
        in_list = isinstance(target, ListNode) or shape.parents.get(name) is not None
        if dataset.required and shape.parents.get(name) is not None:
            yield name, "`required` is for what belongs to the user, not to an element of a list"
        for field, entry in fields_of(dataset).items():
            if entry.field_class == "secret" and (in_list or entry.aggregate):
                yield name, f"field {field!r}: a secret must stand in an object of the user's own"


def _anyone(item: Leaf | ListNode | ObjectNode) -> str:
    if isinstance(item, Leaf):
        return item.feeds[0][0]
    if isinstance(item, ListNode):
        return item.datasets[0]
    if item.fed_by:
        return item.fed_by[0]
    return item.group_of or _anyone(next(iter(item.items.values())))


def _objects(pipeline: Pipeline, node: ObjectNode) -> Iterator[tuple[str, str]]:
    leaves = [item for item in node.items.values() if isinstance(item, Leaf)]
    others = [name for leaf in leaves for name, _ in leaf.feeds if name not in node.fed_by]
    if node.path and node.fed_by and others:
        text = f"{'.'.join(node.path)!r} is made by a field of {others[0]} already"
        yield node.fed_by[0], text
    for item in node.items.values():
        if isinstance(item, ListNode):
            yield from _element(pipeline, item)
        elif isinstance(item, ObjectNode):
            yield from _objects(pipeline, item)
        elif len(item.feeds) > 1:
            path = ".".join((*node.path, item.name))
            if len({_is_secret(pipeline, *feed) for feed in item.feeds}) > 1:
                yield item.feeds[-1][0], f"{path!r} is secret in one dataset and not in another"
            if path not in pipeline.survivorship:
                feeds = " and ".join(dataset for dataset, _ in item.feeds)
                text = f"{path!r} is fed by {feeds}: say under `survivorship` which one wins"
                yield item.feeds[-1][0], text


def _is_secret(pipeline: Pipeline, name: str, field: str) -> bool:
    return fields_of(pipeline.datasets[name])[field].field_class == "secret"


def _element(pipeline: Pipeline, node: ListNode) -> Iterator[tuple[str, str]]:
    plain = [name for name in node.datasets if pipeline.datasets[name].value]
    if plain and (len(plain) != len(node.datasets) or node.element.items):
        yield plain[0], f"the list {'.'.join(node.path)!r} holds plain values or objects, not both"
    for item in node.element.items.values():
        if isinstance(item, ListNode):
            yield from _element(pipeline, item)
        elif isinstance(item, ObjectNode):
            yield from _objects(pipeline, item)
        else:
            inline = [dataset for dataset, _ in item.feeds if dataset in node.element.fed_by]
            if inline and len(item.feeds) > 1:
                text = f"field {item.name!r} of {'.'.join(node.path)}[] is fed by another dataset"
                yield inline[0], text


def _elements(pipeline: Pipeline, shape: Shape) -> Iterator[tuple[str, str]]:
    for name, parent in shape.parents.items():
        matches = shape.targets[name].matches[name]
        if parent is not None and not matches:
            yield name, "say in the brackets which element a row belongs to"
        if len({match.column for match in matches}) < len(matches):
            yield name, "a column can be the key of one list only"
        keys = set(parse_into(pipeline.datasets[name].into or ".").keys_around)
        for above in parent.datasets if parent is not None else ():
            known = parse_into(pipeline.datasets[above].into or ".").keys_around
            for key in sorted(keys & {match.element for match in matches} - set(known)):
                text = (
                    f"{above} must say the same in its `into`, or its elements can't be told apart"
                )
                yield name, f"{key}: {text}"
        if parent is not None and any(pipeline.datasets[p].value for p in parent.datasets):
            yield name, f"the elements of {'.'.join(parent.path)!r} are plain values"
