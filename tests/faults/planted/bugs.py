"""Bugs to plant into the product, each in a process of its own, each to be caught by a check.

``plant`` damages the product in this process for good. Every bug names the check that must catch
it (``checks.CHECKS``); the same check finds nothing where nothing is planted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import core.document
import store.epoch
import store.fence
import store.lanes
import store.load
import store.look
import store.plan
import store.readback
import store.suspects
import store.unified_profile
import store.writer
from store.lanes import Lane, Lanes
from store.plan import Planner, Sealer
from store.resp import UNWATCH, packed

_SET = re.compile(rb"\*4\r\n\$8\r\nJSON\.SET\r\n\$\d+\r\n([^\r]+)\r\n\$1\r\n\$\r\n\$(\d+)\r\n")


@dataclass(frozen=True)
class Bug:
    """What is planted, why it matters, and what must catch it."""

    name: str
    reason: str
    check: str
    plant: Callable[[], None]


BUGS: dict[str, Bug] = {}


def plant(name: str) -> None:
    """Plants a bug into this process."""
    BUGS[name].plant()


def bug(check: str, reason: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Registers a function that plants a bug."""

    def register(function: Callable[[], None]) -> Callable[[], None]:
        name = function.__name__
        BUGS[name] = Bug(name, reason, check, function)
        return function

    return register


# Two writers at one bucket


@bug("nightly < removal, old", "an older run that was paused brings the user back")
def removal_without_a_mark() -> None:
    remove = Planner.remove

    def unmarked(self: Planner, users: Any, place: int, stored: Any) -> Any:
        write = remove(self, users, place, stored)
        if write is None:
            return None
        deleting = packed("DEL", users.keys[place], users.credential_keys[place])
        return write._replace(packed=deleting, commands=1)

    Planner.remove = unmarked  # type: ignore[method-assign]


@bug("opening < opening", "a higher epoch may have an earlier view of the sources")
def epoch_drawn_before_a_late_snapshot() -> None:
    draw = store.epoch.draw_epoch

    class Nothing:
        def close(self) -> None:
            pass

    def early(client: Any, keys: Any, open_snapshots: Any, **named: Any) -> Any:
        epoch, _ = draw(client, keys, Nothing, **named)
        return epoch, open_snapshots()

    store.epoch.draw_epoch = early


@bug("opening < opening, a lock runs out", "the lock had run out while snapshots were opened")
def lock_not_checked_again() -> None:
    release = store.epoch._release

    def believing(*given: Any) -> bool:
        release(*given)
        return True

    store.epoch._release = believing


@bug("nightly < nightly, as the newer", "an older run overwrites what a newer one left unchanged")
def no_floor() -> None:
    release = store.writer.release

    def floorless(wire: Any, fence: Any, *, complete: bool) -> None:
        release(wire, fence, complete=False)

    store.writer.release = floorless


@bug("retry < retry, old", "a zombie and its own retry hold the bucket at once")
def one_fence_value_for_all_attempts() -> None:
    store.fence.Fence.value = property(lambda self: b"%d:run" % self.epoch)  # type: ignore[assignment]


@bug(
    "nightly < nightly, old, a sign of life runs out",
    "a fence that changes between EXEC and WATCH is watched too late",
)
def batch_sent_before_its_get_was_seen() -> None:
    settle = Lane.settle

    def arm(self: Any, fence: Any, found: bytes) -> None:
        self.batch = None
        self.wire.open()
        self.wire.send(UNWATCH + found)
        self.unseen = True

    def late(self: Any, fence: Any) -> Any:
        if self.batch is not None and getattr(self, "unseen", False):
            self.unseen = False
            self.wire.answers(3, "GET")
        return settle(self, fence)

    Lane.arm, Lane.settle = arm, late  # type: ignore[method-assign]


@bug(
    "nightly < removal, old, a sign of life runs out", "the server does not refuse a stalled writer"
)
def no_watch() -> None:
    store.lanes.watch_and_get = lambda key: packed("GET", key) * 2


@bug(
    "nightly < nightly, old, a sign of life runs out",
    "a writer that has lost the bucket gives it back, and lowers its floor",
)
def released_without_a_look() -> None:
    def release(wire: Any, fence: Any, complete: bool, unsure: bool) -> None:
        keys, bucket = fence.keys, fence.bucket
        floor = [("SET", keys.floor(bucket), fence.epoch)] if complete else []
        freed = ("DEL", fence.key, keys.alive(bucket))
        wire.ask_all(("MULTI",), *floor, freed, ("EXEC",))

    store.fence._release = release


@bug("nightly < removal, old", "an older run's complete pass deletes the mark of a newer removal")
def marks_deleted_too_early() -> None:
    store.fence.marks_of = lambda reply: dict.fromkeys(reply[::2], 0)


@bug("backfill < backfill, old", "older data is written over newer")
def epochs_not_compared() -> None:
    store.look.Stored.epoch = property(lambda self: -1)  # type: ignore[assignment]


@bug("backfill < backfill, as the newer", "what a backfill confirms is overwritten by an older one")
def epoch_of_unchanged_not_raised() -> None:
    Planner._raised = lambda self, users, place, stored: None  # type: ignore[method-assign]


@bug(
    "removal < removal, old, a reply is late", "a batch counts as written before it is acknowledged"
)
def outcome_unknown_counts_as_written() -> None:
    def trusting(self: Any, lane: Any, batch: Any, error: Any) -> None:
        lane.wire.drop()

    Lanes._again = trusting  # type: ignore[method-assign]


@bug("nightly < nightly, old", "a reader finds nobody in between")
def deleted_then_set() -> None:
    send = Lane.send

    def deleting(self: Any, batch: Any, refresh: bytes, found: bytes) -> None:
        keys = [match[1] for match in _SET.finditer(batch.packed)]
        if keys:
            self.wire.ask("DEL", *keys)
        send(self, batch, refresh, found)

    Lane.send = deleting  # type: ignore[method-assign]


@bug("nightly < nightly, old", "profile and credential are of two versions for a moment")
def credential_outside_the_multi() -> None:
    send = Lane.send

    def apart(self: Any, batch: Any, refresh: bytes, found: bytes) -> None:
        for match in _SET.finditer(batch.packed):
            if match[1].startswith(b"credential:"):
                end = match.end() + int(match[2]) + 2
                self.wire.send(batch.packed[match.start() : end])
                self.wire.answer("JSON.SET")
        send(self, batch, refresh, found)

    Lane.send = apart  # type: ignore[method-assign]


@bug("nightly < nightly, old", "what is no longer in the sources stays: revoked permissions")
def merge_for_set() -> None:
    document = Sealer.document

    def merging(self: Any, key: bytes, body: bytes, its_digest: str) -> bytes:
        made = document(self, key, body, its_digest)
        return made.replace(b"$8\r\nJSON.SET", b"$10\r\nJSON.MERGE", 1)

    Sealer.document = merging  # type: ignore[method-assign]


@bug("nightly < nightly, old", "a change of the version or of a hold counts as no change")
def digest_leaves_out_more() -> None:
    core.document._covered = lambda *given: b""  # type: ignore[assignment]


# What Redis says


@bug("every second user is newer", "one user's epoch and digest are taken for the next one's")
def replies_shifted_by_one() -> None:
    told = store.look.Looker._told

    def shifted(self: Any, *given: Any) -> Any:
        stored = told(self, *given)
        return stored and [*stored[1:], stored[0]]

    store.look.Looker._told = shifted  # type: ignore[method-assign]


@bug("no memory", "what Redis refused counts as written")
def errors_in_a_pipeline_ignored() -> None:
    def replied(self: Any) -> Any:
        *_, results, _, found = self.wire.replies(self._replies + 4, "JSON.SET")
        return results if isinstance(results, list | None) else [], found

    Lane._replied = replied  # type: ignore[method-assign]
    Lane._failed = lambda self, batch, results: []  # type: ignore[method-assign]


@bug("a key of another type", "a user without a document counts as written")
def wrong_type_ignored() -> None:
    store.look._NOT_WRONG = (*store.look._NOT_WRONG, b"string")
    store.lanes._reason = lambda results, oks: None


@bug("a body is changed by hand", "`_meta` is trusted, and the body is not hashed")
def read_back_trusts_the_meta() -> None:
    opened = core.document.opened

    def trusting(document: bytes) -> Any:
        found = opened(document)
        return found and found._replace(sound=True)

    for place in (store.readback, store.suspects):
        place.opened = trusting  # type: ignore[attr-defined]


@bug("a document would expire", "the user can't log in once the old TTL has run out")
def old_ttl_kept() -> None:
    store.writer.may_expire = lambda *given: False


@bug("another user's document", "a user sees another one's data")
def foreign_user_inside_not_noticed() -> None:
    store.unified_profile.Opener._check = lambda self, *given: None  # type: ignore[method-assign]


# Whole runs


@bug("a bank", "loans come to another user (the guard, which notices many of them, is off)")
def join_by_the_wrong_key() -> None:
    import flows.extraction
    import flows.keyed

    guard_off()
    right = flows.extraction.link_rows

    def wrong(rows: Any, name: str, link: Any, plan: Any) -> Any:
        if name == "account_owner":
            rows = rows.rename({"disp_id": "account_id", "account_id": "disp_id"})
        return right(rows, name, link, plan)

    flows.extraction.link_rows = flows.keyed.link_rows = wrong


@bug("a bank", "rows that never came are taken for rows that are not there")
def end_of_cursor_swallowed() -> None:
    _end_early("lending.loan")


@bug("a bank", "users whose rows were not read are removed (guard and second look are off)")
def sweep_after_a_partial_run() -> None:
    import flows.leavers

    guard_off()
    _end_early("core.client")
    flows.leavers._in_anchor = lambda *given: set()


def _end_early(dataset: str) -> None:
    import flows.extraction

    extract = flows.extraction._extract_dataset

    class Short:
        def __init__(self, connector: Any) -> None:
            self._connector = connector

        def read(self, *given: Any) -> Iterator[Any]:
            for frame in self._connector.read(*given):
                yield frame.head(len(frame) // 2)
                return

    def early(run: Any, entry: Any, connector: Any) -> Any:
        return extract(run, entry, Short(connector) if entry.name == dataset else connector)

    flows.extraction._extract_dataset = early


@bug("an older run loads last but one", "whom an older run brings after the look is not removed")
def leavers_looked_for_only_once() -> None:
    import flows.pipeline

    flows.pipeline.look_for_leavers = lambda *given: None


@bug("an older run loads after a backfill", "without a mark, an older run brings the user back")
def users_without_rows_not_marked() -> None:
    import flows.leavers

    flows.leavers._absent = lambda run: {}


@bug("a source without rows", "missing is taken for empty: everybody is removed")
def guard_off() -> None:
    import flows.guards

    flows.guards.judge = lambda *given: []


@bug("odd values", "two users become one: 2^53 + 1 is no float")
def ids_through_float() -> None:
    import polars as pl

    import transforms.normalise

    exact = transforms.normalise.cast_user_id

    def through_float(series: Any, spec: Any) -> Any:
        return exact(series.cast(pl.Float64()).cast(pl.Int64()), spec)

    transforms.normalise.cast_user_id = through_float


@bug("odd values", "a time without a zone is taken for UTC")
def naive_time() -> None:
    import transforms.typed

    cast = transforms.typed.cast

    def naive(
        series: Any, column: Any, delivered: Any, target: Any, zone: Any, **named: Any
    ) -> Any:
        return cast(series, column, delivered, target, "UTC", **named)

    transforms.typed.cast = naive


@bug("odd values", "which of two rows counts depends on the order in which they come")
def last_of_duplicates_wins() -> None:
    import transforms.settle

    fit, unique_over = transforms.settle._fit, transforms.settle._unique_over

    def last_wins(rows: Any, entry: Any, everyone: Any, counts: Any) -> Any:
        for columns in unique_over(entry):
            last = rows.unique(columns, keep="last", maintain_order=True)
            counts.filtered["where"] += rows.height - last.height
            rows = last
        return fit(rows, entry, everyone, counts)

    transforms.settle._fit = last_wins


__all__ = ["BUGS", "Bug", "plant"]
