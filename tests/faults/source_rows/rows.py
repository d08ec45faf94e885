"""All trials of the source faults, by the row of the table that they are of."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.faults.source_rows import contracts, down, limits, people, reading
from tests.faults.source_rows.bench import Bench

Trial = Callable[[Bench, random.Random], list[str]]


class Row(NamedTuple):
    """A row, one of its trials, and the class of a violation.

    A trial returns what is wrong; an AssertionError means that its fault did not take place.
    """

    number: int
    trial: Trial
    violation: str = "false_success"

    @property
    def name(self) -> str:
        return f"{self.number} {self.trial.__name__}"


ROWS = (
    Row(43, down.down_at_the_start),
    Row(44, down.cut_in_mid_scan),
    Row(44, down.killed_in_mid_scan),
    Row(45, reading.truncated_after_the_snapshot, "lost"),
    Row(45, reading.rewritten_after_the_snapshot, "lost"),
    Row(46, down.rows_are_gone, "lost"),
    Row(47, down.one_of_three_is_away, "lost"),
    Row(48, reading.moved_between_two_tables, "torn"),
    Row(49, reading.conflict_on_a_standby, "torn"),
    Row(50, reading.standby_far_behind, "stale"),
    Row(50, reading.mariadb_replica_behind, "stale"),
    Row(50, reading.mongodb_secondary_behind, "stale"),
    Row(51, reading.snapshot_too_old, "torn"),
    Row(52, reading.scan_beside_a_writer_without_snapshots, "lost"),
    Row(53, limits.locked_table, "hangs"),
    Row(53, limits.slow_statement, "hangs"),
    Row(54, limits.slow_reader, "hangs"),
    Row(55, down.no_connection_left),
    Row(56, contracts.denied_column),
    Row(57, contracts.secret_changed_in_mid_run),
    Row(58, contracts.column_gone),
    Row(58, contracts.column_gone_in_mid_run),
    Row(58, contracts.column_of_another_type),
    Row(59, contracts.new_column, "leaked"),
    Row(60, people.late_commit, "lost"),
    Row(61, people.deleted_in_the_source, "resurrected"),
    Row(62, people.left_and_returned, "lost"),
    Row(63, people.many_deleted, "lost"),
    Row(30, people.a_giant, "lost"),
)

SHORT = (
    *("truncated_after_the_snapshot", "rewritten_after_the_snapshot", "conflict_on_a_standby"),
    *("mongodb_secondary_behind", "snapshot_too_old", "slow_reader", "no_connection_left"),
    *("secret_changed_in_mid_run", "denied_column", "a_giant"),
)
"""The trials of the short tier."""
