"""Scope: who was forgotten is told by keyed hash, whatever his id is made of."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pseudonym import pseudonym
from core.records import RowCounts
from transforms.columns import USER_ID
from transforms.scope import Scope, Suppressed, slot_of

KEY = b"key"


def _suppressed(*users: str) -> Suppressed:
    return Suppressed(KEY, {pseudonym(KEY, user): slot_of(user) for user in users})


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=20))
def test_just_those_on_the_list(users: list[str]) -> None:
    listed = users[::2]
    suppressed = _suppressed(*listed)
    found = suppressed.among(pl.Series(USER_ID, [*users, *users], dtype=pl.String))
    assert sorted(found) == sorted(listed)
    assert [user for user in users if user in suppressed] == listed


@pytest.mark.parametrize("in_scope", [None, [1, 2, 3]])
def test_their_rows_end_as_suppressed(in_scope: list[int] | None) -> None:
    users = None if in_scope is None else pl.DataFrame({USER_ID: in_scope})
    rows = pl.DataFrame({USER_ID: [1, 2, 2, 3, 4], "x": [1, 2, 3, 4, 5]})
    counts = RowCounts()
    scope = Scope(users, suppressed=_suppressed("2", "5"))
    kept, bucket = scope.rows(rows, pl.Series([0, 1, 1, 2, 3]), counts)
    assert kept["x"].to_list() == ([1, 4, 5] if in_scope is None else [1, 4])
    assert bucket.to_list() == ([0, 2, 3] if in_scope is None else [0, 2])
    assert counts.filtered["suppressed"] == 2


def test_an_empty_list_costs_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("transforms.scope.pseudonym")
    rows, bucket = pl.DataFrame({USER_ID: [1]}), pl.Series([0])
    assert Scope().rows(rows, bucket, RowCounts())[0] is rows
    assert "1" not in Suppressed()
