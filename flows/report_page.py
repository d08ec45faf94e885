"""A report as a page for the Prefect UI: what became of the run first, then every figure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flows.request import Kind

_FIGURES = {
    "users": "users",
    "created": "created",
    "updated": "updated",
    "unchanged": "unchanged",
    "removed": "removed",
    "held": "held",
    "checked": "checked",
}
_PLANNED = {
    **{name: f"would be {name}" for name in ("created", "updated")},
    "unchanged": "unchanged",
    "leaving": "would be removed",
    "held": "held",
}
_ENDS = {
    "rows": "rows",
    "copies": "copies",
    "placed": "in profiles",
    "reference": "reference",
    "filtered": "filtered",
    "quarantined": "quarantined",
}

Told = Mapping[str, Any]


def artifact_key(profile: str, kind: Kind) -> str:
    """The key that a profile's reports of one kind share, so that the UI has their history."""
    plain = re.sub("[^a-z0-9]+", "-", profile.lower()).strip("-") or "unnamed"
    return f"report-{plain}-{kind}"


def page(told: Told) -> str:
    """A report, as ``Report.as_dict`` gives it, in Markdown."""
    parts = [
        [f"# {_title(told)}"],
        _error(told),
        _figures(told),
        [_facts(told)],
        [f"Accepted by {_plain(told['accepted_by'])}: {_plain(t)}" for t in told["accepted"]],
        [f"Loaded and checked again: {_plain(why)}" for why in told["repeated"]],
        _counts("Corrupt documents", "finding", "documents", told["findings"]),
        _counts("Behind their sources", "why", "users", told["behind"]),
        _sources(told),
        _rows(told),
        _quarantined(told),
        _diffs(told),
        [f"- not seen by incremental runs: {_plain(text)}" for text in told["unseen"]],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _title(told: Told) -> str:
    whom = "" if told["selection"] == "everyone" else f" ({_plain(told['selection'])})"
    users = "1 user" if told["users"] == 1 else f"{told['users']:,} users"
    return f"{told['profile']}: {told['kind']}{whom} {told['status']}, {users}"


def _error(told: Told) -> list[str]:
    return ["```", str(told["error"]).replace("```", "'''"), "```"] if told["error"] else []


def _figures(told: Told) -> list[str]:
    """The numbers that matter, in one line below their names."""
    names = _PLANNED if told["status"] == "planned" else _FIGURES
    quarantined = sum(told["quarantined"].values())
    return _table([*names.values(), "quarantined"], [[*map(told.get, names), quarantined]])


def _facts(told: Told) -> str:
    facts = [f"{told['seconds']:.1f} s"]
    facts += [f"{name} {seconds:.1f} s" for name, seconds in told["steps"].items()]
    facts += [f"epoch {told['epoch']}"] if told["epoch"] else []
    facts += [f"{told['bytes_written'] / 1e6:,.1f} MB written", f"run `{told['run']}`"]
    if told["parent"]:
        facts.append(f"asked for by {_reports(told, 'verify')} `{told['parent']}`")
    if told["repair"]:
        facts.append(f"repaired by {_reports(told, 'backfill')} `{told['repair']}`")
    return " · ".join(facts)


def _reports(told: Told, kind: Kind) -> str:
    """A link to the reports of another kind on the same profile."""
    return f"[{kind} run](/artifacts/key/{artifact_key(told['profile'], kind)})"


def _sources(told: Told) -> list[str]:
    behind: Told = told["behind_s"]
    head = ["source", "rows", "as of", "consistency", "seconds"]
    rows = [[name, *source.values()] for name, source in told["sources"].items()]
    if behind:
        head.append("seconds since the last run")
        rows = [[*row, behind.get(row[0], "")] for row in rows]
    return _section("Sources", head, rows)


def _rows(told: Told) -> list[str]:
    rows = [
        [name, *(sum(e.values()) if isinstance(e, dict) else e for e in map(ends.get, _ENDS))]
        for name, ends in told["datasets"].items()
    ]
    return _section("Rows", ["dataset", *_ENDS.values()], rows)


def _quarantined(told: Told) -> list[str]:
    """Every reason of every dataset, most rows first; then the users, whom no dataset has."""
    found = [
        [name, reason, count]
        for name, ends in told["datasets"].items()
        for reason, count in ends["quarantined"].items()
    ]
    of_rows: dict[str, int] = {}
    for _, reason, count in found:
        bare = reason.partition(" (")[0]
        of_rows[bare] = of_rows.get(bare, 0) + count
    for reason, count in told["quarantined"].items():
        if count > of_rows.get(reason, 0):
            found.append(["(users)", reason, count - of_rows.get(reason, 0)])
    found.sort(key=lambda row: -row[2])
    return _section("Quarantine", ["dataset", "reason", "rows"], found)


def _diffs(told: Told) -> list[str]:
    rows = [
        [number, field["path"], field["before"], field["after"]]
        for number, fields in enumerate(told["diffs"], start=1)
        for field in fields
    ]
    return _section("Changed fields of some users", ["user", "field", "before", "after"], rows)


def _counts(title: str, what: str, count: str, counts: Mapping[str, int]) -> list[str]:
    return _section(title, [what, count], [[*pair] for pair in counts.items()])


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [f"## {title}", "", *_table(head, rows)] if rows else []


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _plain(value)


def _plain(value: Any) -> str:
    """A text that Markdown takes as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(str(value).split()))
