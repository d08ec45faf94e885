"""Judges the search index of a pipeline file: paths that lead nowhere, secrets, odd attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from core.entries import Profile
from core.index import Index, IndexField, Path
from core.pipeline import Pipeline
from core.shape import Leaf, ListNode, ObjectNode, Shape, fields_of

Location = tuple[str | int, ...]

_OF_TYPE = {
    "case_sensitive": ("tag",),
    "separator": ("tag",),
    "withsuffixtrie": ("tag", "text"),
    "no_stem": ("text",),
    "weight": ("text",),
    "phonetic_matcher": ("text",),
    "index_empty": ("tag", "text"),
}

_MANY = "a list has many values: only one value a user can be unique"


class Feed(NamedTuple):
    """Where an indexed value comes from: a dataset's field, or its ``value`` (then None)."""

    dataset: str
    field: str | None


def index_problems(pipeline: Pipeline, shape: Shape) -> Iterator[tuple[Location, str]]:
    """Pairs of place in the file and what is wrong there."""
    index = pipeline.index
    if index is None:
        return
    yield from _names(index, pipeline.profile)
    for position, field in enumerate(index.fields):
        here: Location = ("index", "fields", position)
        for key, types in _OF_TYPE.items():
            if getattr(field.attrs, key) and field.type not in types:
                yield (*here, "attrs", key), f"is for {' and '.join(types)} only"
        if field.attrs.unf and not field.attrs.sortable:
            yield (*here, "attrs", "unf"), "needs `sortable`"
        if field.unique and (text := _not_unique(field)):
            yield (*here, "unique"), text
        try:
            feeds = feeds_at(shape, field.steps)
        except ValueError as error:
            yield (*here, "path"), str(error)
            continue
        if field.unique and any(feed.field is None for feed in feeds):
            yield (*here, "unique"), _MANY
        if any(_is_secret(pipeline, feed) for feed in feeds):
            yield (*here, "path"), "is secret: who may search must not be able to find it"


def feeds_at(shape: Shape, path: Path) -> list[Feed]:
    """What feeds the values at a path; nothing for ``user_id``, which the pipeline puts there.

    Raises:
        ValueError: no field stands there; the message says why.
    """
    if path[0].name == "user_id" and len(path) == 1 and not path[0].each:
        return []
    item: Leaf | ListNode | ObjectNode = shape.root
    for position, step in enumerate(path):
        if isinstance(item, Leaf):
            raise ValueError(f"{path[position - 1].name!r} is a field: nothing stands below it")
        node = item.element if isinstance(item, ListNode) else item
        if step.name not in node.items:
            raise ValueError(f"no dataset makes {step.name!r} there")
        item = node.items[step.name]
        last = position == len(path) - 1
        if isinstance(item, ListNode) and not step.each and not last:
            raise ValueError(f"{step.name!r} is a list: write {step.name}[*]")
        if isinstance(item, ObjectNode) and step.each:
            raise ValueError(f"{step.name!r} is an object: write it without [*]")
    if isinstance(item, Leaf):
        return [Feed(dataset, field) for dataset, field in item.feeds]
    if isinstance(item, ListNode) and not item.element.items:
        return [Feed(dataset, None) for dataset in item.datasets]
    raise ValueError(f"{path[-1].name!r} holds objects: name a field in them")


def _names(index: Index, profile: Profile) -> Iterator[tuple[Location, str]]:
    if index.prefix is not None:
        before = profile.key.partition("{")[0]
        if not before.startswith(index.prefix) or not index.prefix:
            yield ("index", "prefix"), f"must be a start of the profiles' key: {before}"
        elif profile.credential_key.startswith(index.prefix):
            yield ("index", "prefix"), "would index the credentials as well"
    if index.name is not None and index.name.startswith("prefetch:"):
        yield ("index", "name"), "`prefetch:` is the control keys'"
    for name, count in Counter(field.name for field in index.fields).items():
        if count > 1:
            yield ("index", "fields"), f"two fields are named {name!r}"


def _not_unique(field: IndexField) -> str | None:
    if field.type != "tag":
        return "only a `tag` can be looked up exactly"
    if any(step.each for step in field.steps):
        return _MANY
    if field.attrs.separator is not None or field.attrs.no_index:
        return "can't be looked up with `separator` or `no_index`"
    return None


def _is_secret(pipeline: Pipeline, feed: Feed) -> bool:
    if feed.field is None:
        return False
    return fields_of(pipeline.datasets[feed.dataset])[feed.field].field_class == "secret"
