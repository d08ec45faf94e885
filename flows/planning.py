"""Plan: what a run would write, told without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import orjson

from core.document import Stale
from core.records import BucketDocuments, LoadCounts
from flows.commands.masking import masked
from flows.loading import documents_of
from flows.run_context import RunContext
from store.client import client_of
from store.lookup import stored
from store.preview import BucketPreview

SAMPLE_USERS = 1_000
"""Of how many users, at least, the share of changed documents is estimated."""

ABSENT = "(absent)"

Steps = tuple[str | int, ...]


@dataclass
class Planned:
    """What a run would do.

    ``diffs`` has for some users the changed fields: ``path``, ``before``, ``after``, masked
    where the field is not public; users are not named.
    """

    counts: LoadCounts = field(default_factory=LoadCounts)
    diffs: list[list[dict[str, Any]]] = field(default_factory=list)


def plan_buckets(
    run: RunContext, buckets: list[int], diffs: int, progress: Callable[[int], None]
) -> Planned:
    """Compares the documents of some buckets with what Redis holds.

    Args:
        diffs: of how many users the changed fields are told.
        progress: told how many buckets are done, after each.

    Raises:
        TargetError: Redis can't be read.
        StageError: a stage file is damaged.
    """
    planned = Planned()
    version = run.plan.pipeline.profile.schema_version
    with BucketPreview(
        run.redis_url, run.keys, server=run.server, timeouts=run.timeouts
    ) as preview:
        for done, documents in enumerate(documents_of(run, buckets), 1):
            found = preview.load(documents, run.epoch, version, run.stale, run.rewrite)
            planned.counts += found.counts
            wanted = found.updated[: max(0, diffs - len(planned.diffs))]
            planned.diffs += [diff for diff in _diffs(run, documents, wanted) if diff]
            run.go_on()
            progress(done)
    return planned


def changed_share(run: RunContext, marks: Stale) -> float | None:
    """The share of stored documents that would change, from the first buckets; None for none.

    Buckets are slices by a hash, so the first ones are a fair sample.

    Args:
        marks: of stale sources, which the documents are taken to bear.
    """
    anchor = run.stage.reader("rows", run.plan.anchor.name)
    sample: list[int] = []
    users = 0
    for bucket in run.scope_buckets:
        sample.append(bucket)
        users += anchor.rows(bucket)
        if users >= SAMPLE_USERS:
            break
    counts = plan_buckets(replace(run, stale=marks), sample, 0, lambda _: None).counts
    stored = counts.updated + counts.unchanged
    return counts.updated / stored if stored else None


def _diffs(
    run: RunContext, documents: BucketDocuments, user_ids: list[str]
) -> Iterator[list[dict[str, Any]]]:
    if not user_ids:
        return
    with client_of(run.redis_url, run.timeouts) as client:
        for user_id in user_ids:
            before = stored(client, run.keys, user_id) or {}
            before.pop("_meta", None)
            place = documents.user_ids.index(user_id)
            after = orjson.loads(documents.bodies[place] + b"}")
            told = masked(before, run.plan), masked(after, run.plan)
            yield [
                {
                    "path": _dotted(steps),
                    "before": _at(told[0], steps),
                    "after": _at(told[1], steps),
                }
                for steps in differences(before, after)
            ]


def differences(before: Any, after: Any, steps: Steps = ()) -> Iterator[Steps]:
    """The places where two documents differ; lists are compared by position."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from differences(
                before.get(name, ABSENT), after.get(name, ABSENT), (*steps, name)
            )
    elif isinstance(before, list) and isinstance(after, list):
        for place, (old, new) in enumerate(zip_longest(before, after, fillvalue=ABSENT)):
            yield from differences(old, new, (*steps, place))
    elif before != after or type(before) is not type(after):
        yield steps


def _at(document: Any, steps: Steps) -> Any:
    """What stands at a place; a masked whole stands for all that is in it."""
    for step in steps:
        if isinstance(document, dict) and isinstance(step, str):
            document = document.get(step, ABSENT)
        elif isinstance(document, list) and isinstance(step, int):
            document = document[step] if step < len(document) else ABSENT
        else:
            return document
    return document


def _dotted(steps: Steps) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).removeprefix(".")
