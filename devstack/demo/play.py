"""The demo from top to bottom: a night, another with nothing new, and one after a day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.bank import Book, Servers, load, move_on
from devstack.bank.planted import FILE
from devstack.demo.failure import DemoFailed
from devstack.demo.judging import differences, expected_figures, figures_in
from devstack.demo.lookups import LOGINS, look_ups
from devstack.demo.runs import CONFIG, Runs
from devstack.demo.sample import fullest, users_with_profile
from devstack.demo.screen import Screen
from devstack.demo.tables import look_ups_table, profile_lines, rows_table, sources_table

SEED = 1

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """What the play needs: the screen, the servers, the command, and where the bank's list is."""

    screen: Screen
    servers: Servers
    redis_url: str
    runs: Runs
    bank: Path

    @property
    def planted(self) -> dict[str, Any]:
        """The bank's own list, as it is now."""
        told: dict[str, Any] = json.loads((self.bank / FILE).read_text(encoding="utf-8"))
        return told


def play(stage: Stage, users: int) -> None:
    """Shows all of it.

    Raises:
        DemoFailed: a run failed, or a figure is not what the bank's list says.
    """
    _make_bank(stage, users)
    _first_night(stage)
    _look(stage)
    _night_again(stage)
    _night_after_a_day(stage)


def _make_bank(stage: Stage, users: int) -> None:
    stage.screen.title(f"A bank of {users:,} customers, with the usual mess in its data")
    with stage.screen.step("making its four databases") as tell:
        load(stage.servers, Book(users=users, seed=SEED), stage.bank, tell)
    spoilt = sum(sum(kinds.values()) for kinds in stage.planted["planted"].values())
    stage.screen.line(f"{spoilt:,} rows are spoilt on purpose; the bank keeps a list of them")


def _first_night(stage: Stage) -> None:
    screen = stage.screen
    screen.title("The first night: prefetch run")
    report = stage.runs.run("first", screen, "all product lines into Redis")
    expected = expected_figures(stage.planted)
    rows = sum(source["rows"] for source in report["sources"].values())
    screen.line(
        f"{report['created']:,} profiles made of {rows:,} rows in {report['seconds']:.1f} s, each "
        f"read back; {report['held']:,} users held"
    )
    screen.show(sources_table(report))
    screen.show(rows_table(report, expected))
    screen.line("quarantined, by reason: " + _reasons(report["quarantined"]))
    _compare(screen, expected, report)


def _look(stage: Stage) -> None:
    screen = stage.screen
    users = users_with_profile(stage.planted, LOGINS)
    user = fullest(stage.redis_url, CONFIG, users)
    screen.title(f"One of them: prefetch show {user}   (personal values are masked)")
    for line in profile_lines(stage.runs.shown(user)):
        screen.show(line)
    screen.title("What an app asks at a login, one question after the other")
    screen.show(look_ups_table(look_ups(stage.redis_url, CONFIG, users)))


def _night_again(stage: Stage) -> None:
    stage.screen.title("The next night, nothing has changed")
    report = stage.runs.run("again", stage.screen, "the same again")
    stage.screen.line(_written(report))
    _compare(stage.screen, expected_figures(stage.planted, again=True), report)
    if report["bytes_written"]:
        raise DemoFailed(f"{report['bytes_written']:,} bytes were written though nothing changed")


def _night_after_a_day(stage: Stage) -> None:
    screen = stage.screen
    screen.title("A day passes: people move, pay, come and go")
    with screen.step("changing rows in all four databases") as tell:
        moved = move_on(stage.servers, stage.bank, say=tell)
    screen.line(
        f"{len(moved.updated):,} profiles must change, {len(moved.created):,} users are new, "
        f"{len(moved.departed):,} have left"
    )
    report = stage.runs.run("after-a-day", screen, "the third night")
    screen.line(_written(report))
    _compare(screen, expected_figures(stage.planted, moved=True), report)


def _written(report: Report) -> str:
    return (
        f"{report['unchanged']:,} profiles unchanged; written: {report['created']:,} new, "
        f"{report['updated']:,} changed, {report['removed']:,} removed "
        f"({report['bytes_written'] / 1e6:,.1f} MB)"
    )


def _reasons(quarantined: Mapping[str, int]) -> str:
    most_first: Sequence[tuple[str, int]] = sorted(quarantined.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{count:,} {reason}" for reason, count in most_first)


def _compare(screen: Screen, expected: Report, report: Report) -> None:
    wrong = differences(expected, report)
    if wrong:
        raise DemoFailed(
            "the report is not what the bank's list says; this is a bug, please report it:\n"
            + "\n".join(wrong)
        )
    screen.line(f"✓ all {figures_in(expected):,} figures are those of the bank's list", "green")
