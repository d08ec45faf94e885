"""Prints a report as tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

_FIGURES = "users created updated unchanged removed superseded held checked".split()


def print_report(report: dict[str, Any], console: Console | None = None) -> None:
    """Prints the numbers that matter first, then sources, rows and quarantine."""
    console = console or Console(highlight=False)
    epoch = f", epoch {report['epoch']}" if report.get("epoch") else ""
    console.print(
        f"[bold]{report.get('profile', '')}: {report['status']}[/bold]"
        f" in {report.get('seconds', 0):.1f} s{epoch}"
    )
    if report.get("error"):
        console.print(report["error"], style="red", markup=False, soft_wrap=True)
    figures = "  ".join(f"{name} {report.get(name, 0):,}" for name in _FIGURES)
    console.print(figures, soft_wrap=True)
    for source, since in report.get("carried", {}).items():
        console.print(f"carried forward: {source}, as it was at {since}", soft_wrap=True)
    _table(
        console,
        "Sources",
        ("source", "rows", "as of", "consistency", "seconds"),
        [
            (name, source["rows"], source["as_of"], source["consistency"], source["seconds"])
            for name, source in report.get("sources", {}).items()
        ],
    )
    _table(
        console,
        "Rows",
        ("dataset", "rows", "copies", "in profiles", "reference", "filtered", "quarantined"),
        [
            (
                name,
                d["rows"],
                d["copies"],
                d["placed"],
                d["reference"],
                sum(d["filtered"].values()),
                sum(d["quarantined"].values()),
            )
            for name, d in report.get("datasets", {}).items()
        ],
    )
    _table(
        console, "Corrupt documents", ("finding", "count"), [*report.get("findings", {}).items()]
    )
    _table(console, "Behind their sources", ("users", "count"), [*report.get("behind", {}).items()])
    if report["status"] == "planned" and report.get("leaving"):
        console.print(f"{report['leaving']:,} users would be removed")
    for number, fields in enumerate(report.get("diffs", []), start=1):
        rows = [(field["path"], field["before"], field["after"]) for field in fields]
        _table(console, f"Changed user {number}", ("field", "before", "after"), rows)
    for text in report.get("accepted", []):
        console.print(f"accepted by {report['accepted_by']}: {text}", markup=False, soft_wrap=True)
    for text in report.get("unseen", []):
        console.print(f"not seen by incremental runs: {text}", markup=False, soft_wrap=True)
    _table(console, "Quarantine", ("reason", "rows"), list(report.get("quarantined", {}).items()))
    if kept := report.get("quarantine_file"):
        console.print(
            f"the keys of {kept['kept']:,} of {kept['rows']:,} are kept until {kept['expires']}: "
            f"prefetch quarantine show --run {report['run'][:8]}",
            soft_wrap=True,
        )
    if replayed := report.get("replayed"):
        _print_replayed(console, replayed)


def print_standing(now: dict[str, Any], console: Console | None = None) -> None:
    """Prints how a profile stands (``flows.standing``): freshness, then what waits for a person."""
    console = console or Console(highlight=False, markup=False)
    rows = [
        (name, told["seen"] or "never", _age(told["age_s"]))
        for name, told in now["sources"].items()
    ]
    _table(console, "Now", ("source", "seen up to", "age"), rows)
    for line in _standing_lines(now):
        console.print(line, soft_wrap=True)


def _standing_lines(now: dict[str, Any]) -> Iterator[str]:
    complete = now["complete"]
    if complete is None:
        yield "no complete run is kept"
    else:
        yield (
            f"last complete run: {complete['started']}, {_age(complete['age_s'])} ago, "
            f"epoch {complete['epoch']}; users held: {now['held']:,}"
        )
    for held in now["guard"]:
        yield f"the guard holds the {held['kind']} run of {held['started']}:"
        yield from (f"  {finding}" for finding in held["findings"])
    yield from (f"not seen by incremental runs: {text}" for text in now["unseen"])


def print_table(title: str, head: tuple[str, ...], rows: list[Any]) -> None:
    """Prints a table; nothing in it is taken for markup."""
    _table(Console(highlight=False, markup=False), title, head, rows)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _print_replayed(console: Console, replayed: dict[str, Any]) -> None:
    lost = sum(group["rows"] for group in replayed["lost"])
    console.print(
        f"{replayed['rows']:,} rows of the quarantine of run {replayed['run'][:8]} replayed: "
        f"{lost:,} still lead to no user, {replayed['untold']:,} can't be told; those that lead "
        "to a user are judged anew above"
    )
    _table(
        console,
        "Still lead to no user",
        ("dataset", "reason", "column", "rows"),
        [tuple(group.values()) for group in replayed["lost"]],
    )


def _table(console: Console, title: str, head: tuple[str, ...], rows: list[Any]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in head:
        table.add_column(column, justify="left" if column == head[0] else "right")
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def _cell(value: Any) -> str:
    """A number with its thousands apart, a text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False)
