"""Groups of buckets: what one task works at, side by side with the others."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from flows.quiet_tasks import QuietTask, results, threads
from flows.run_context import RunContext

_USERS = 200_000
"""Users in one group: 10 to 30 seconds of work."""

Group = list[int]


def groups_of(run: RunContext) -> list[Group]:
    """The run's buckets in groups, at least one a thread."""
    buckets = run.scope_buckets
    users = run.stage.reader("rows", run.plan.anchor.name).total_rows
    number = max(run.settings.load_threads, -(-users // _USERS))
    number = min(number, len(buckets))
    bounds = [len(buckets) * i // number for i in range(number + 1)] if number else []
    return [buckets[first:last] for first, last in pairwise(bounds)]


def of_groups(
    run: RunContext, task: QuietTask[..., Any], groups: list[Group], **more: Any
) -> list[Any]:
    """What a task makes of each group, side by side."""
    with threads(run.settings.load_threads, run.stopping) as pool:
        futures = [
            pool.submit(task, run=run, group=place, buckets=group, named=_named(group), **more)
            for place, group in enumerate(groups)
        ]
        return results(futures)


def total(groups: list[Group]) -> int:
    """How many buckets some groups have."""
    return sum(map(len, groups))


def _named(group: Group) -> str:
    return f"{group[0]}-{group[-1]}" if len(group) > 1 else str(group[0])
