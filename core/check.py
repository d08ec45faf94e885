"""Judges a pipeline file as a whole: names that must exist, places that must not overlap."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.carrying import carrying_problems
from core.check_index import index_problems
from core.check_shape import shape_problems
from core.expressions import names_in
from core.pipeline import RESERVED, USER_ID_COLUMN, Dataset, Pipeline, UserLink, Where
from core.plan import names_of
from core.shape import Shape, fields_of, leaves_of, shape_of

_WITHOUT_FIXED_COLUMNS = {"mongodb"}
"""Kinds of sources that can't tell a column's type."""


class Problem(NamedTuple):
    """A mistake, and the path of keys that leads to it in the file."""

    location: tuple[str | int, ...]
    text: str


def problems_of(pipeline: Pipeline) -> list[Problem]:
    """Every mistake of a pipeline whose entries are valid one by one."""
    found = [*_profile(pipeline), *_links(pipeline)]
    for name, dataset in pipeline.datasets.items():
        found += _dataset(pipeline, name, dataset)
    if found:
        return found
    shape = shape_of(pipeline)
    for name, text in [*shape.problems, *shape_problems(pipeline, shape)]:
        found.append(Problem(("datasets", name), text))
    for name in pipeline.datasets:
        found += _names(pipeline, shape, name)
    found += [Problem(*problem) for problem in index_problems(pipeline, shape)]
    for source, text in carrying_problems(pipeline, shape):
        found.append(Problem(("sources", source, "on_failure"), text))
    return [*found, *_survivorship(pipeline, shape)]


def _profile(pipeline: Pipeline) -> Iterator[Problem]:
    profile = pipeline.profile
    for key in ("key", "credential_key"):
        template = getattr(profile, key)
        rest = template.replace("{user_id}", "", 1)
        if "{user_id}" not in template or "{" in rest or "}" in rest:
            text = f"{template!r} must hold {{user_id}} once, and no other braces"
            yield Problem(("profile", key), text)
        elif template.startswith(("prefetch:", "{user_id}")):
            text = "keys must start with a prefix of their own; `prefetch:` is the control keys'"
            yield Problem(("profile", key), text)
    prefixes = [profile.key.split("{")[0], profile.credential_key.split("{")[0]]
    if prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0]):
        text = "must not start like the profile's key: another grant guards it"
        yield Problem(("profile", "credential_key"), text)
    if profile.user_id.pattern is not None:
        try:
            re.compile(profile.user_id.pattern)
        except re.error as error:
            yield Problem(("profile", "user_id", "pattern"), f"no regular expression: {error}")
    anchor = pipeline.datasets.get(profile.anchor)
    if anchor is None:
        yield Problem(("profile", "anchor"), f"there is no dataset {profile.anchor!r}")
    elif anchor.into is None or not isinstance(anchor.user_id, str) or anchor.unnest:
        text = "the anchor needs `into`, and its user id in a column of its own, a row a user"
        yield Problem(("datasets", profile.anchor), text)
    elif "[" in anchor.into or any(f.aggregate for f in anchor.fields.values()):
        text = "the anchor's rows go into an object, a row a user, without aggregates"
        yield Problem(("datasets", profile.anchor, "into"), text)


def _links(pipeline: Pipeline) -> Iterator[Problem]:
    for name, link in pipeline.links.items():
        if link.dataset not in pipeline.datasets:
            yield Problem(("links", name, "dataset"), f"there is no dataset {link.dataset!r}")
        yield from _expression(("links", name, "where"), link.where)


def _dataset(pipeline: Pipeline, name: str, dataset: Dataset) -> Iterator[Problem]:
    here = ("datasets", name)
    source = name.partition(".")[0]
    if source not in pipeline.sources:
        text = f"a dataset is named source.dataset; there is no source {source!r}"
        yield Problem(here, text)
    if sum(x is not None for x in (dataset.table, dataset.query, dataset.collection)) > 1:
        yield Problem(here, "write one of table, query, collection")
    yield from _user(pipeline, name, dataset)
    for alias, lookup in dataset.lookups.items():
        other = pipeline.datasets.get(lookup.dataset)
        if other is None or other.into is not None:
            text = f"{lookup.dataset!r} must be a dataset without `into`"
            yield Problem((*here, "lookups", alias), text)
    yield from _fields(here, dataset)
    yield from _expression((*here, "where"), dataset.where)
    zones: list[tuple[tuple[str, ...], str | None]] = [(here, dataset.timezone)]
    zones += [((*here, "columns", c), column.timezone) for c, column in dataset.columns.items()]
    for location, zone in zones:
        if zone is not None and not _is_zone(zone):
            yield Problem(location, f"{zone!r} is no time zone; write an IANA name")
    for column in dataset.columns:
        if column.startswith(RESERVED):
            text = f"names that start with {RESERVED} are the pipeline's own"
            yield Problem((*here, "columns", column), text)
    if dataset.into is not None and not fields_of(dataset) and not dataset.value:
        yield Problem(here, "name its `columns` or its `fields`")


def _user(pipeline: Pipeline, name: str, dataset: Dataset) -> Iterator[Problem]:
    here = ("datasets", name)
    if dataset.into is not None and dataset.user_id is None:
        yield Problem(here, "a dataset with `into` needs `user_id`")
    if dataset.into is None:
        if dataset.user_id is not None or dataset.required:
            yield Problem(here, "`user_id` and `required` need `into`")
        used = {link.dataset for link in pipeline.links.values()}
        used |= {look.dataset for d in pipeline.datasets.values() for look in d.lookups.values()}
        if name not in used:
            yield Problem(here, "nothing uses it: it has no `into`, and no link or lookup names it")
    if isinstance(dataset.user_id, UserLink):
        for link in dataset.user_id.link:
            if link not in pipeline.links:
                yield Problem((*here, "user_id", "link"), f"there is no link {link!r}")
        chain = [pipeline.links[n] for n in dataset.user_id.link if n in pipeline.links]
        keys = [dataset.user_id.on, *(link.to for link in chain)]
        for columns, hop in zip(keys, chain, strict=False):
            if len(columns) != len(hop.from_):
                text = f"the link's key has {len(hop.from_)} columns, not {len(columns)}"
                yield Problem((*here, "user_id"), text)
        if chain and len(chain[-1].to) != 1:
            yield Problem((*here, "user_id"), "the last link must lead to one column, the user id")


def _fields(here: tuple[str, ...], dataset: Dataset) -> Iterator[Problem]:
    fields = fields_of(dataset)
    aggregated = any(entry.aggregate for entry in fields.values())
    is_list = bool(dataset.into) and dataset.into is not None and dataset.into.endswith("[]")
    if dataset.value and (dataset.fields or not is_list):
        yield Problem((*here, "value"), "`value` is for a list of plain values, without `fields`")
    if aggregated and is_list:
        yield Problem((*here, "into"), "aggregates make an object, not a list")
    if dataset.limit and not is_list:
        yield Problem((*here, "limit"), "only a list has a limit")
    for name, entry in fields.items():
        place = (*here, "fields", name)
        given = [entry.column, entry.constant, entry.derive, entry.aggregate]
        if sum(x is not None for x in given) > 1:
            yield Problem(place, "write one of column, constant, derive, aggregate")
        if aggregated and entry.aggregate is None and entry.derive is None:
            if entry.constant is None:
                text = "beside aggregates only `derive` and `constant` can stand"
                yield Problem(place, text)
        if entry.aggregate not in (None, "count") and entry.of is None:
            yield Problem(place, f"`{entry.aggregate}` needs `of`, the column")
        if entry.aggregate == "latest" and entry.by is None:
            yield Problem(place, "`latest` needs `by`, the column that tells which is latest")
        yield from _expression((*place, "where"), entry.where)
        yield from _expression((*place, "derive"), entry.derive)
    for order in dataset.order_by:
        if not re.fullmatch(r"\S+( (asc|desc))?", order):
            text = f"{order!r}: write a column, or a column and desc"
            yield Problem((*here, "order_by"), text)


def _names(pipeline: Pipeline, shape: Shape, name: str) -> Iterator[Problem]:
    dataset = pipeline.datasets[name]
    here = ("datasets", name)
    names = names_of(pipeline, shape, name)
    kind = pipeline.sources[pipeline.source_of(name)].kind
    hooked = dataset.transform.columns if dataset.transform else {}
    links = dataset.user_id.link if isinstance(dataset.user_id, UserLink) else ()
    joined = {*dataset.lookups, *links}
    for column in names.own:
        if column.startswith(RESERVED):
            yield Problem(
                here,
                f"{column!r}: the only name of the pipeline's own that may be "
                f"used is {USER_ID_COLUMN}",
            )
        elif column in joined and column not in dataset.columns:
            text = f"{column!r} is no column; in SQL write names with a dot in double quotes"
            yield Problem(here, text)
        elif kind in _WITHOUT_FIXED_COLUMNS:
            declared = dataset.columns.get(column)
            if declared is None or declared.type is None:
                text = f"{kind} can't tell the type of {column!r}: declare it in `columns`"
                yield Problem((*here, "columns"), text)
    for column, entry in hooked.items():
        if entry.type is None:
            yield Problem((*here, "transform", "columns", column), "declare its type")
    user = dataset.user_id
    for given in user.on if isinstance(user, UserLink) else [user]:
        if given in (*names.linked, *names.looked_up, USER_ID_COLUMN):
            yield Problem((*here, "user_id"), f"{given!r} is not known before the user is")


def _survivorship(pipeline: Pipeline, shape: Shape) -> Iterator[Problem]:
    fed = dict(leaves_of(shape.root))
    for path, rule in pipeline.survivorship.items():
        here = ("survivorship", path)
        feeds = [pipeline.datasets[name] for name, _ in fed[path].feeds] if path in fed else []
        if not feeds:
            yield Problem(here, "no dataset feeds such a field")
        for preferred in rule.prefer:
            if preferred not in pipeline.sources and preferred not in pipeline.datasets:
                yield Problem((*here, "prefer"), f"there is no source or dataset {preferred!r}")
        if rule.policy == "latest" and any(dataset.cursor is None for dataset in feeds):
            text = "`latest` needs a `cursor` in every dataset that feeds the field"
            yield Problem((*here, "policy"), text)
        aggregated = [d for d in feeds if any(f.aggregate for f in fields_of(d).values())]
        if rule.policy == "latest" and aggregated:
            text = "`latest` compares rows; aggregates are made of many"
            yield Problem((*here, "policy"), text)


def _expression(location: tuple[str, ...], where: Where | None) -> Iterator[Problem]:
    try:
        names_in(where or {})
    except ValueError as error:
        yield Problem(location, str(error))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
