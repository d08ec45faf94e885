"""A pipeline made ready to run: for each dataset what is read, as what type, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.expressions import names_in
from core.into import Match, parse_into
from core.pipeline import USER_ID_COLUMN, Column, Dataset, Link, Pipeline, UserLink, Where
from core.records import Query, QueryColumn
from core.shape import Shape, fields_of, shape_of
from core.values import ColumnType


@dataclass(frozen=True)
class Names:
    """The names that a dataset uses, by where they come from, each in order of first use."""

    own: tuple[str, ...]
    linked: tuple[str, ...]
    looked_up: tuple[str, ...]


@dataclass(frozen=True)
class DatasetPlan:
    """One dataset, ready to run."""

    name: str
    source: str
    dataset: Dataset
    columns: Mapping[str, Column]
    """The columns that are read, by name."""
    transform_columns: Mapping[str, Column]
    links: tuple[tuple[str, Link], ...]
    """The links to follow to the user, in order, with their names."""
    matches: tuple[Match, ...]
    """How a row finds the element of the list around its place."""
    parent_datasets: tuple[str, ...]
    early_where: Where | None
    late_where: Where | None
    """Conditions on the row alone, and those that need the user, a link's or a lookup's column."""
    late_names: tuple[str, ...]
    identity: tuple[str, ...] = ()
    """The columns that tell which row it is: its primary key, and its user id or what leads on."""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    """The resolved type of each column; filled by ``resolved``."""
    late_types: Mapping[str, ColumnType] = field(default_factory=dict)
    """Likewise of each of ``late_names``."""

    def type_of(self, name: str) -> ColumnType | None:
        """The resolved type of a column of its own, a link's or a lookup's; None for others."""
        return self.types.get(name) or self.late_types.get(name)

    @property
    def is_reference(self) -> bool:
        """Whether the rows serve links and lookups only."""
        return self.dataset.into is None

    @cached_property
    def is_list(self) -> bool:
        """Whether each row becomes an element of a list."""
        return self.dataset.into is not None and parse_into(self.dataset.into).is_list

    @cached_property
    def is_aggregated(self) -> bool:
        """Whether all rows of a user or element make one object."""
        return any(entry.aggregate for entry in fields_of(self.dataset).values())

    @property
    def user_column(self) -> str | None:
        """The column with the user id, where it stands in the row itself."""
        return self.dataset.user_id if isinstance(self.dataset.user_id, str) else None

    @property
    def first_key(self) -> tuple[str, ...]:
        """The columns with the first link's key."""
        return self.dataset.user_id.on if isinstance(self.dataset.user_id, UserLink) else ()

    @property
    def query(self) -> Query:
        """What the connector is asked for."""
        entry = self.dataset
        relation = entry.table or entry.collection or self.name.partition(".")[2]
        return Query(
            dataset=self.name,
            relation=relation,
            columns=tuple(
                QueryColumn(name, column.path or name, column.declared)
                for name, column in self.columns.items()
            ),
            text=entry.query,
            unnest=entry.unnest,
        )


@dataclass(frozen=True)
class Plan:
    """A whole pipeline, ready to run."""

    pipeline: Pipeline
    shape: Shape
    datasets: Mapping[str, DatasetPlan]
    carried: Mapping[str, str] = field(default_factory=dict)
    """By section of the profile, the source that is down: its last values are carried forward."""

    @property
    def sources(self) -> list[str]:
        """The sources that are read."""
        return [name for name in self.pipeline.sources if name not in self.carried.values()]

    @property
    def placed(self) -> list[DatasetPlan]:
        """The datasets that go into the profile, parents before children."""
        placed = [(d, parse_into(d.dataset.into)) for d in self.datasets.values() if d.dataset.into]
        return [plan for plan, _ in sorted(placed, key=lambda pair: pair[1].depth)]

    @property
    def anchor(self) -> DatasetPlan:
        """The dataset that decides which users exist."""
        return self.datasets[self.pipeline.profile.anchor]

    def links_from(self, dataset: str) -> dict[str, Link]:
        """The links whose crosswalk a dataset is."""
        return {n: link for n, link in self.pipeline.links.items() if link.dataset == dataset}

    def lookups_on(self, dataset: str) -> bool:
        """Whether some dataset looks this one up."""
        return any(
            lookup.dataset == dataset
            for entry in self.pipeline.datasets.values()
            for lookup in entry.lookups.values()
        )


def plan_of(pipeline: Pipeline) -> Plan:
    """The plan of a pipeline whose names have been checked; types are still open."""
    shape = shape_of(pipeline)
    datasets = {name: _dataset_plan(pipeline, shape, name) for name in pipeline.datasets}
    return Plan(pipeline, shape, datasets)


def names_of(pipeline: Pipeline, shape: Shape, name: str) -> Names:
    """All columns that a dataset needs: for itself, and for those that link or look it up."""
    dataset = pipeline.datasets[name]
    used: list[str] = [*dataset.columns, *_own_uses(dataset)]
    target = shape.targets.get(name)
    if target is not None:
        used += [match.column for match in target.matches.get(name, ())]
    used += _uses_by_children(pipeline, shape, name)
    for link in pipeline.links.values():
        if link.dataset == name:
            used += [*link.from_, *link.to, *link.columns, *names_in(link.where or {})]
    for other in pipeline.datasets.values():
        for alias, lookup in other.lookups.items():
            if lookup.dataset == name:
                used.append(lookup.key)
                used += [
                    use.partition(".")[2]
                    for use in _own_uses(other)
                    if use.startswith(f"{alias}.") and use not in other.columns
                ]
    return _sorted_names(pipeline, dataset, used)


def _sorted_names(pipeline: Pipeline, dataset: Dataset, used: list[str]) -> Names:
    own, linked, looked_up = [], [], []
    links = dataset.user_id.link if isinstance(dataset.user_id, UserLink) else ()
    hooked = dataset.transform.columns if dataset.transform else {}
    for use in dict.fromkeys(used):
        prefix, _, rest = use.partition(".")
        if use == USER_ID_COLUMN or use in hooked:
            continue
        if use in dataset.columns:
            own.append(use)
        elif prefix in links and rest in pipeline.links[prefix].columns:
            linked.append(use)
        elif prefix in dataset.lookups and rest:
            looked_up.append(use)
        else:
            own.append(use)
    return Names(tuple(own), tuple(linked), tuple(looked_up))


def _own_uses(dataset: Dataset) -> list[str]:
    uses: list[str] = []
    fields = fields_of(dataset)
    aggregated = any(entry.aggregate for entry in fields.values())
    for name, entry in fields.items():
        if entry.aggregate:
            uses += [n for n in (entry.of, entry.by) if n]
            uses += names_in(entry.where or {})
        elif entry.derive is not None:
            if not aggregated:
                uses += names_in(entry.derive)
        elif entry.constant is None:
            uses.append(entry.column or name)
    uses += [dataset.value] if dataset.value else []
    uses += [*dataset.primary_key, *(order.split()[0] for order in dataset.order_by)]
    uses += names_in(dataset.where or {})
    uses += [lookup.on for lookup in dataset.lookups.values()]
    uses += [dataset.cursor] if dataset.cursor else []
    if isinstance(dataset.user_id, UserLink):
        uses += dataset.user_id.on
    elif dataset.user_id is not None:
        uses.append(dataset.user_id)
    return uses


def _uses_by_children(pipeline: Pipeline, shape: Shape, name: str) -> list[str]:
    """Columns of a list's dataset that are no fields, but by which others find its elements."""
    fields = fields_of(pipeline.datasets[name])
    own = {*fields, *parse_into(pipeline.datasets[name].into or ".").keys_around}
    return [
        match.element
        for child, parent in shape.parents.items()
        if parent is not None and name in parent.datasets
        for match in shape.targets[child].matches[child]
        if match.element not in own
    ]


def _dataset_plan(pipeline: Pipeline, shape: Shape, name: str) -> DatasetPlan:
    dataset = pipeline.datasets[name]
    names = names_of(pipeline, shape, name)
    target, parent = shape.targets.get(name), shape.parents.get(name)
    late = {USER_ID_COLUMN, *names.linked, *names.looked_up}
    is_late = any(use in late for use in names_in(dataset.where or {}))
    links = dataset.user_id.link if isinstance(dataset.user_id, UserLink) else ()
    return DatasetPlan(
        name=name,
        source=pipeline.source_of(name),
        dataset=dataset,
        columns={use: dataset.columns.get(use, Column()) for use in names.own},
        transform_columns=dataset.transform.columns if dataset.transform else {},
        links=tuple((link, pipeline.links[link]) for link in links),
        matches=target.matches.get(name, ()) if target is not None else (),
        parent_datasets=tuple(parent.datasets) if parent is not None else (),
        early_where=None if is_late else dataset.where,
        late_where=dataset.where if is_late else None,
        late_names=(*names.linked, *names.looked_up),
        identity=_identity(pipeline, name),
    )


def _identity(pipeline: Pipeline, name: str) -> tuple[str, ...]:
    dataset = pipeline.datasets[name]
    names = [*dataset.primary_key]
    if isinstance(dataset.user_id, UserLink):
        names += dataset.user_id.on
    elif dataset.user_id is not None:
        names.append(dataset.user_id)
    else:
        names += [c for link in pipeline.links.values() if link.dataset == name for c in link.from_]
        names += [
            lookup.key
            for other in pipeline.datasets.values()
            for lookup in other.lookups.values()
            if lookup.dataset == name
        ]
    return tuple(dict.fromkeys(names))
