"""Quarantine: what is counted is kept, and what is kept tells which row it is."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from bank import Merged, merge, plan_for
from hypothesis import given, settings
from hypothesis import strategies as st
from test_properties import PLAN, ROWS

import core.quarantine
from core.quarantine import Quarantine
from core.records import RowCounts


def _kept(quarantine: Quarantine) -> dict[tuple[str, str], int]:
    return {why: sum(f.height for f in frames) for why, frames in quarantine.kept.items()}


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 4))
def test_each_row_counted_is_kept(rows: dict[str, Any], chunk: int) -> None:
    made: Merged = merge(PLAN, rows, chunk)
    for name, counts in made.counts.items():
        assert _kept(counts.quarantine) == counts.quarantined
        known = {"__user_id", *PLAN.datasets[name].identity}
        for frames in counts.quarantine.kept.values():
            for frame in frames:
                assert set(frame.columns) <= known
                assert set(frame.dtypes) <= {pl.String()}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), max_size=12), st.integers(0, 6)
)
def test_beyond_the_room_rows_are_only_counted(lost: list[tuple[str, int]], room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.quarantine, "KEPT_ROWS", room)
        total = Quarantine()
        for reason, number in lost:
            part = Quarantine()
            part.add(reason, "", pl.DataFrame({"id": [str(n) for n in range(number)]}))
            total += part
    for reason in "ab":
        expected = sum(number for why, number in lost if why == reason)
        assert total.counts[reason, ""] == expected
        assert _kept(total).get((reason, ""), 0) == min(expected, room)


def test_what_tells_which_row_it_is() -> None:
    plan = plan_for(
        links={
            "owner": {"dataset": "s.holder", "from": "number", "to": "user"},
            "group": {"dataset": "s.group", "from": "group", "to": "number"},
        },
        datasets={
            "s.holder": {"columns": {"number": "string", "user": "integer"}},
            "s.group": {"columns": {"group": "string", "number": "string"}, "primary_key": "group"},
            "s.account": {
                "user_id": {"link": ["group", "owner"], "on": "groups"},
                "into": "accounts[]",
                "primary_key": "id",
                "columns": {"id": "integer", "groups": "string[]", "day": "date"},
            },
        },
    )
    assert plan.datasets["s.account"].identity == ("id", "groups")
    assert plan.datasets["s.holder"].identity == ("number",)
    rows = {
        "s.user": [{"id": 1}],
        "s.holder": [{"number": "A", "user": 1}],
        "s.group": [{"group": "g", "number": "A"}, {"group": "h", "number": "B"}],
        "s.account": [
            {"id": 1, "groups": '["g"]', "day": "2020-02-31"},
            {"id": 2, "groups": '["h"]', "day": "2020-02-01"},
            {"id": 3, "groups": None, "day": "2020-02-01"},
        ],
    }
    kept = merge(plan, rows).counts["s.account"].quarantine.kept
    assert {
        why: [row for f in frames for row in f.rows(named=True)] for why, frames in kept.items()
    } == {
        ("not_a_date", "day"): [{"__user_id": "1", "id": "1", "groups": '["g"]'}],
        ("no_link", "owner"): [{"id": "2", "groups": '["h"]'}],
        ("no_link_key", "groups"): [{"id": "3", "groups": None}],
    }


def test_no_error_shows_what_is_kept() -> None:
    counts = RowCounts()
    counts.quarantine.add("duplicate", "id", pl.DataFrame({"id": ["canary"]}))
    assert "canary" not in f"{counts} {counts!r}"
    assert counts.quarantined == {("duplicate", "id"): 1}
