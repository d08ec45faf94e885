"""The demo's tables: a report beside the bank's list, a profile in a few lines, the look-ups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from devstack.demo.judging import ENDS, dataset_agrees
from devstack.demo.lookups import LookUp

PROFILE_WIDTH = 96


def sources_table(report: Mapping[str, Any]) -> Table:
    """The product lines: rows, the moment that was read, and how."""
    table = _table("product line", "rows", "as of", "consistency")
    for name, source in report["sources"].items():
        table.add_row(name, f"{source['rows']:,}", source["as_of"], source["consistency"])
    return table


def rows_table(report: Mapping[str, Any], expected: Mapping[str, Any]) -> Table:
    """Where every row ended, and whether the bank's list says the same."""
    table = _table("dataset", *ENDS, "")
    for name, ends in report["datasets"].items():
        figures = [sum(e.values()) if isinstance(e, dict) else e for e in map(ends.get, ENDS)]
        agrees = "✓" if dataset_agrees(expected, report, name) else "✗"
        table.add_row(name, *(f"{figure:,}" for figure in figures), agrees)
    return table


def profile_lines(profile: Mapping[str, Any]) -> list[Text]:
    """A profile, one line a section; what is too long is cut."""
    lines = []
    for section, value in profile.items():
        text = json.dumps(value, ensure_ascii=False)
        room = PROFILE_WIDTH - len(section) - 4
        cut = text if len(text) <= room else f"{text[: room - 1]}…"
        lines.append(Text.assemble("  ", (section, "bold"), f": {cut}"))
    return lines


def look_ups_table(made: Sequence[LookUp]) -> Table:
    """Half of the answers, and nearly all, within so much time."""
    table = _table("look-up", "answered", "refused", "p50", "p99")
    for each in made:
        times = (f"{each.quantile(share):.2f} ms" for share in (0.5, 0.99))
        answered = len(each.milliseconds)
        table.add_row(each.question, f"{answered:,}", f"{each.refused:,}", *times)
    return table


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", no_wrap=True)
    return table
