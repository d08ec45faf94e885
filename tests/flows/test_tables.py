"""Tables for people: numbers, truth values and documents read as what they are."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from connectors.relations import unknown_table
from core.records import Query
from flows.commands.tables import print_report


def test_changed_fields_are_shown_as_json() -> None:
    fields = [
        {"path": "auth.locked", "before": False, "after": True},
        {"path": "cards", "before": "(absent)", "after": [{"kind": "debit", "until": None}]},
        {"path": "visits", "before": 1000, "after": None},
    ]
    out = io.StringIO()
    print_report({"status": "planned", "diffs": [fields]}, Console(file=out, width=90))
    rows = [line.split(maxsplit=2) for line in out.getvalue().splitlines()[-3:]]
    assert rows == [
        ["auth.locked", "false", "true"],
        ["cards", "(absent)", '[{"kind": "debit", "until": null}]'],
        ["visits", "1,000", "null"],
    ]


@pytest.mark.parametrize(
    ("table", "schema", "where"),
    [
        ("party", None, " in the default schema; `schema` names another"),
        ("party", "crm", " in schema crm"),
        ("crm.party", "other", ""),
    ],
)
def test_a_missing_table_tells_where_it_was_looked_for(
    table: str, schema: str | None, where: str
) -> None:
    told = unknown_table(Query("core.party", table, ()), schema)
    assert told == f"there is no table {table}{where}"
