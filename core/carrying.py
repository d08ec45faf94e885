"""Carrying forward: a profile's sections keep their last values while their source is down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core.pipeline import Pipeline, UserLink
from core.plan import Plan
from core.shape import Leaf, ListNode, ObjectNode, Shape


def without_source(plan: Plan, source: str) -> Plan:
    """The plan without a source's datasets; its sections are carried forward."""
    datasets = {n: entry for n, entry in plan.datasets.items() if entry.source != source}
    sections = [name for name, fed in _fed(plan.shape).items() if source in _sources(fed)]
    return replace(
        plan, datasets=datasets, carried={**plan.carried, **dict.fromkeys(sections, source)}
    )


def carrying_problems(pipeline: Pipeline, shape: Shape) -> Iterator[tuple[str, str]]:
    """Pairs of a source that can't be carried forward, and why."""
    for source, entry in pipeline.sources.items():
        if entry.on_failure == "carry_forward":
            for reason in _reasons(pipeline, shape, source):
                yield source, f"`on_failure: carry_forward` is not possible: {reason}"


def _reasons(pipeline: Pipeline, shape: Shape, source: str) -> Iterator[str]:
    own = {name for name in pipeline.datasets if pipeline.source_of(name) == source}
    if pipeline.profile.anchor in own:
        yield "it has the anchor"
    yield from (f"{name} is `required`" for name in own if pipeline.datasets[name].required)
    for name in sorted(own):
        if any(f.field_class == "secret" for f in pipeline.datasets[name].fields.values()):
            yield f"{name} has a secret field"
    for section, fed in _fed(shape).items():
        others = fed - own
        if fed & own and others:
            yield f"section {section!r} is fed by {min(others)}, too"
    for name, dataset in pipeline.datasets.items():
        if name in own:
            continue
        links = dataset.user_id.link if isinstance(dataset.user_id, UserLink) else ()
        for link in links:
            if link in pipeline.links and pipeline.links[link].dataset in own:
                yield f"{name} needs its link {link!r}"
        for alias, lookup in dataset.lookups.items():
            if lookup.dataset in own:
                yield f"{name} needs its lookup {alias!r}"


def _fed(shape: Shape) -> dict[str, set[str]]:
    """The datasets that feed each section: an item of the profile itself."""
    return {name: _feeders(item) for name, item in shape.root.items.items()}


def _feeders(item: Leaf | ListNode | ObjectNode) -> set[str]:
    if isinstance(item, Leaf):
        return {dataset for dataset, _ in item.feeds}
    if isinstance(item, ListNode):
        return set(item.datasets) | _feeders(item.element)
    inner = [_feeders(child) for child in item.items.values()]
    return set(item.fed_by).union(*inner)


def _sources(datasets: set[str]) -> set[str]:
    return {dataset.partition(".")[0] for dataset in datasets}
