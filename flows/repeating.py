"""Repeating: what a run writes is written and checked again where Redis did not stay the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event

from prefect import get_run_logger

from core.errors import TargetUnfit
from flows.guards import too_many_leaving
from flows.leavers import find_leavers_again
from flows.report import Report
from flows.run_context import RunContext
from store.continuity import Continuity, Patience, Written
from store.facts import Server


def until_lasting(
    run: RunContext,
    report: Report,
    work: Callable[[RunContext], Written],
) -> None:
    """Has work done until one server has stayed the same from its beginning to its end.

    Args:
        work: all that the run writes and checks, on the server of the run that it is given.

    Raises:
        TargetError: Redis did not come back, changed each time, or has lost too much.
        PrefetchError: what ``work`` raises.
    """
    settings = run.settings
    patience = Patience(settings.load_attempts, settings.redis_away_s, settings.wait_replicas)
    continuity = Continuity(
        run.redis_url, run.keys, run.epoch, run.name, run.facts, run.timeouts, patience
    )

    def on(server: Server) -> Written:
        # What an attempt that failed has told its threads is not for those of the next.
        return work(replace(run, facts=replace(run.facts, server=server), stopping=Event()))

    def again(why: str) -> None:
        get_run_logger().warning("load and check begin again: %s", why)
        report.repeated.append(why)

    continuity.keep(on, again)


def look_for_leavers(run: RunContext, report: Report) -> None:
    """Finds once more whom to remove, now that no older run can write the buckets any more.

    An older run may have written users since the guard has looked, and a replica that was
    promoted may hold some who were removed before.

    Raises:
        TargetError: Redis does not answer; TargetUnfit: it would be more than may be.
        StageError: the disk is full, or a stage file is damaged.
    """
    leaving = find_leavers_again(run)
    report.leaving = leaving.users
    finding = too_many_leaving(run, leaving, report.request.acceptance)
    if finding is not None:
        raise TargetUnfit(
            "users have come back since the guard has looked, by an older run or because Redis "
            f"has gone back to an older state, and now {finding}; or run again, and the guard "
            "looks at all of it before the first write"
        )
