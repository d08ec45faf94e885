"""The shape of the document: a tree of objects and lists, built from every dataset's ``into``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.into import Into, Match, parse_into
from core.pipeline import Dataset, FieldEntry, Pipeline


@dataclass
class Leaf:
    """One field: its name in the object, and the datasets that feed it (usually one)."""

    name: str
    feeds: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of dataset and the field's path in that dataset."""


@dataclass
class ListNode:
    """A list: its elements come from the rows of one or several datasets."""

    name: str
    path: tuple[str, ...]
    datasets: list[str] = field(default_factory=list)
    element: ObjectNode = field(init=False)
    matches: dict[str, tuple[Match, ...]] = field(default_factory=dict)
    """By dataset: how its rows find the element of the list around, if there is one."""
    empty: str = "list"

    def __post_init__(self) -> None:
        self.element = ObjectNode(self.path)


@dataclass
class ObjectNode:
    """An object: its items in the order of the pipeline file.

    ``fed_by`` are the datasets that go ``into`` just this object; ``group_of`` is set for an
    object that only a dotted field name makes: the dataset whose fields it holds.
    """

    path: tuple[str, ...]
    items: dict[str, Leaf | ListNode | ObjectNode] = field(default_factory=dict)
    fed_by: list[str] = field(default_factory=list)
    matches: dict[str, tuple[Match, ...]] = field(default_factory=dict)
    group_of: str | None = None
    empty: str = "null"

    @property
    def holds_others(self) -> bool:
        """Whether a list or another dataset's object is inside: then it is never null."""
        return any(
            isinstance(item, ListNode) or (isinstance(item, ObjectNode) and item.group_of is None)
            for item in self.items.values()
        )


@dataclass
class Shape:
    """The document's tree, and where each dataset goes in it."""

    root: ObjectNode
    targets: dict[str, ObjectNode | ListNode]
    parents: dict[str, ListNode | None]
    """The innermost list around each dataset's place."""
    problems: list[tuple[str, str]]
    """Pairs of dataset and what is wrong with its place."""


def fields_of(dataset: Dataset) -> dict[str, FieldEntry]:
    """A dataset's fields as they count: all its columns where none are named."""
    if dataset.fields or dataset.value:
        return dataset.fields
    return {name: FieldEntry() for name in dataset.columns}


def shape_of(pipeline: Pipeline) -> Shape:
    """The shape that a pipeline file describes, with the clashes found in it.

    Lists are made before what goes into their elements, whatever the order of the file.
    """
    shape = Shape(ObjectNode(()), {}, {}, [])
    placed = [
        (name, dataset, parse_into(dataset.into))
        for name, dataset in pipeline.datasets.items()
        if dataset.into is not None
    ]
    for name, dataset, into in sorted(placed, key=lambda entry: entry[2].depth):
        _place(shape, name, dataset, into)
    _order(shape.root, [name for name, _, _ in placed], shape)
    return shape


def leaves_of(node: ObjectNode) -> Iterator[tuple[str, Leaf]]:
    """Every field in an object and in what it holds, by its path without brackets."""
    for item in node.items.values():
        if isinstance(item, Leaf):
            yield ".".join((*node.path, item.name)), item
        else:
            yield from leaves_of(item.element if isinstance(item, ListNode) else item)


def _place(shape: Shape, name: str, dataset: Dataset, into: Into) -> None:
    node: ObjectNode = shape.root
    parent: ListNode | None = None
    for position, segment in enumerate(into.segments):
        last = position == len(into.segments) - 1
        item = node.items.get(segment.name)
        if segment.is_list and last and not segment.matches:
            if item is None:
                item = ListNode(segment.name, (*node.path, segment.name))
                node.items[segment.name] = item
            if not isinstance(item, ListNode):
                shape.problems.append((name, f"{segment.name!r} is an object elsewhere"))
                return
            return _feed_list(shape, item, parent, name, dataset, into)
        if segment.is_list:
            if not isinstance(item, ListNode):
                shape.problems.append((name, f"no dataset makes the list {segment.name!r}"))
                return
            node, parent = item.element, item
            continue
        if item is None:
            item = ObjectNode((*node.path, segment.name))
            node.items[segment.name] = item
        if not isinstance(item, ObjectNode):
            shape.problems.append((name, f"{segment.name!r} is a list or a field elsewhere"))
            return
        node = item
    _feed_object(shape, node, parent, name, dataset, into)


def _feed_list(
    shape: Shape, node: ListNode, parent: ListNode | None, name: str, dataset: Dataset, into: Into
) -> None:
    node.datasets.append(name)
    node.matches[name] = into.matches
    if dataset.empty != "default":
        node.empty = dataset.empty
    shape.targets[name], shape.parents[name] = node, parent
    if dataset.value is None:
        _add_fields(shape, node.element, name, dataset)


def _feed_object(
    shape: Shape,
    node: ObjectNode,
    parent: ListNode | None,
    name: str,
    dataset: Dataset,
    into: Into,
) -> None:
    node.fed_by.append(name)
    node.matches[name] = into.matches
    if dataset.empty != "default":
        node.empty = dataset.empty
    shape.targets[name], shape.parents[name] = node, parent
    _add_fields(shape, node, name, dataset)


def _add_fields(shape: Shape, node: ObjectNode, name: str, dataset: Dataset) -> None:
    for path in fields_of(dataset):
        *groups, leaf_name = path.split(".")
        target = node
        for group in groups:
            inner = target.items.setdefault(group, ObjectNode((*target.path, group), group_of=name))
            if not isinstance(inner, ObjectNode):
                shape.problems.append((name, f"field {path!r}: {group!r} is no object elsewhere"))
                break
            target = inner
        else:
            leaf = target.items.setdefault(leaf_name, Leaf(leaf_name))
            if isinstance(leaf, Leaf):
                leaf.feeds.append((name, path))
            else:
                shape.problems.append((name, f"field {path!r} is a list or an object elsewhere"))


def _order(node: ObjectNode, names: list[str], shape: Shape) -> None:
    """Puts the items of an object in the order in which the file's datasets first mention them."""

    def first_mention(item: Leaf | ListNode | ObjectNode) -> int:
        if isinstance(item, Leaf):
            return min(names.index(dataset) for dataset, _ in item.feeds)
        if isinstance(item, ListNode):
            inner = [names.index(dataset) for dataset in item.datasets]
        else:
            inner = [names.index(dataset) for dataset in item.fed_by]
            if item.group_of is not None:
                inner.append(names.index(item.group_of))
            inner += [first_mention(child) for child in item.items.values()]
        return min(inner, default=len(names))

    node.items = dict(sorted(node.items.items(), key=lambda pair: first_mention(pair[1])))
    for item in node.items.values():
        if isinstance(item, ListNode):
            _order(item.element, names, shape)
        elif isinstance(item, ObjectNode):
            _order(item, names, shape)
