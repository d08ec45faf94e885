"""A part of the planted bugs, a few of each kind of check; all of them: tests.faults.planted."""

from __future__ import annotations

from tests.faults.campaign import Ground
from tests.faults.planted.bugs import BUGS
from tests.faults.planted.catching import all_caught

FEW = [
    "removal_without_a_mark",
    "marks_deleted_too_early",
    "epoch_drawn_before_a_late_snapshot",
    "lock_not_checked_again",
    "no_floor",
    "one_fence_value_for_all_attempts",
    "epochs_not_compared",
    "deleted_then_set",
    "merge_for_set",
    "replies_shifted_by_one",
    "errors_in_a_pipeline_ignored",
    "wrong_type_ignored",
    "read_back_trusts_the_meta",
    "old_ttl_kept",
    "foreign_user_inside_not_noticed",
    "join_by_the_wrong_key",
    "ids_through_float",
    "naive_time",
]


def test_planted_bugs_are_caught_and_nothing_else_is(ground: Ground) -> None:
    caught = list(all_caught(ground, FEW))
    wrong = [(each.check, each.bug and each.bug.name, each.found) for each in caught]
    assert [told for told, each in zip(wrong, caught, strict=True) if not each.right] == []
    assert {each.bug.name for each in caught if each.bug is not None} == set(FEW)


def test_there_are_enough_of_them_each_with_a_reason() -> None:
    assert len(BUGS) >= 20
    assert all(bug.reason and bug.check for bug in BUGS.values())
