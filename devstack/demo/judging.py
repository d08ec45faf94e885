"""Holds a report against the bank's own list: every figure, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Any]

ENDS = ("rows", "copies", "placed", "reference", "filtered", "quarantined")


def expected_figures(planted: Figures, *, again: bool = False, moved: bool = False) -> Figures:
    """The figures that a report must have, in its own words.

    Args:
        planted: what ``planted.json`` says.
        again: of a run with nothing new since the last.
        moved: of a run after a day has passed.
    """
    users, held = planted["users_with_profile"], len(planted["held"])
    created, updated, removed = users, 0, 0
    if again:
        created = 0
    if moved:
        day = planted["moved"]
        created, updated, removed = (len(day[k]) for k in ("created", "updated", "departed"))
    return {
        "status": "success",
        "users": users,
        "created": created,
        "updated": updated,
        "unchanged": users - created - updated,
        "removed": removed,
        "held": held,
        "superseded": 0,
        "sources": _rows_by_source(planted["datasets"]),
        "datasets": {name: _ends(ends) for name, ends in planted["datasets"].items()},
    }


def differences(expected: Figures, report: Figures) -> list[str]:
    """Where a report says something else than it must; one line each."""
    told = {
        **{key: report[key] for key in expected},
        "sources": {name: source["rows"] for name, source in report["sources"].items()},
        "datasets": {name: _ends(ends) for name, ends in report["datasets"].items()},
    }
    return list(_differences("", expected, told))


def figures_in(expected: Figures) -> int:
    """How many single figures are compared."""
    return sum(figures_in(e) if isinstance(e, Mapping) else 1 for e in expected.values())


def dataset_agrees(expected: Figures, report: Figures, name: str) -> bool:
    """Whether all figures of a dataset are as expected."""
    return bool(_ends(report["datasets"][name]) == expected["datasets"].get(name))


def _ends(ends: Figures) -> Figures:
    return {key: ends[key] for key in ENDS}


def _rows_by_source(datasets: Figures) -> Figures:
    rows: dict[str, int] = {}
    for name, ends in datasets.items():
        source = name.partition(".")[0]
        rows[source] = rows.get(source, 0) + ends["rows"]
    return rows


def _differences(place: str, expected: Figures, told: Figures) -> Iterator[str]:
    for key in [*expected, *(key for key in told if key not in expected)]:
        here = f"{place} → {key}" if place else key
        wanted, found = expected.get(key, 0), told.get(key, 0)
        if isinstance(wanted, Mapping) or isinstance(found, Mapping):
            yield from _differences(here, wanted or {}, found or {})
        elif wanted != found:
            yield f"{here}: the report says {found}, the bank's list {wanted}"
