"""The types of columns as sources tell them, against what the pipeline file says of them."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import ConfigError
from core.values import ColumnType
from tests.transforms.bank import plan_for
from transforms.resolve import resolved


def _resolved(zoned: bool | None, column: dict[str, Any], **dataset: Any) -> None:
    visit = {
        "user_id": "user",
        "into": "visits[]",
        "primary_key": "at",
        "columns": {"user": "integer", "at": {"type": "timestamp", **column}},
        "fields": {"at": "at"},
        **dataset,
    }
    plan = plan_for(datasets={"s.visit": visit})
    told = {name: dict(entry.types) for name, entry in plan.datasets.items()}
    told["s.visit"]["at"] = ColumnType("timestamp", zoned=zoned)
    resolved(plan, told)


def test_a_time_that_never_has_a_zone_needs_one() -> None:
    with pytest.raises(ConfigError) as caught:
        _resolved(False, {})
    assert caught.value.problems == (
        "datasets → s.visit: at is a time without a zone; say the `timezone` of its clock",
    )


@pytest.mark.parametrize(
    ("zoned", "column", "dataset"),
    [
        (False, {"timezone": "Europe/Berlin"}, {}),
        (False, {}, {"timezone": "UTC"}),
        (False, {"type": "string"}, {}),
        (True, {}, {}),
        (None, {}, {}),  # SQLite: each value tells
    ],
)
def test_other_times_need_none(
    zoned: bool | None, column: dict[str, Any], dataset: dict[str, Any]
) -> None:
    _resolved(zoned, column, **dataset)
