"""Replaying: the rows of a quarantine, read again from the sources, and the users they lead to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from connectors.base import Connector
from core.plan import DatasetPlan
from core.records import RowCounts
from flows.finder import Finder
from flows.keyed import KeyedReader, nobody
from flows.quarantine_files import file_of, folder_of
from flows.run_context import Replayed, RunContext
from stage.quarantine_file import Group, Kept
from transforms.casts import cast_user_id
from transforms.columns import REASON, USER_ID, key_columns
from transforms.link import follow
from transforms.normalise import keyed, led_to_user
from transforms.quarantine import quarantine

_STRANGER = "unknown_user"
_PLACE, _SEEN = "__place", "__seen"


def users_again(
    run: RunContext, wanted: str, connectors: Mapping[str, Connector]
) -> tuple[pl.DataFrame, Replayed]:
    """The users (``USER_ID``, unique) whom the rows of a run's quarantine lead to now.

    These are the users whom rows had led to, and those whom rows lead to that had led nowhere.

    Args:
        wanted: the run whose quarantine is meant, or how its name begins.

    Raises:
        ConfigError: there is none.
        SourceError: as the connector raises it.
        StageError: the file is damaged.
    """
    folder = folder_of(run.settings)
    file = file_of(folder, run.plan.pipeline.profile.name, wanted)
    replayed = Replayed(file.run, untold=file.rows - file.kept)
    for group in file.groups:
        if group.what == "row":
            replayed.rows[group.dataset] += group.rows
    known: set[str] = set()
    lost: dict[str, list[Kept]] = defaultdict(list)
    for row in folder.rows(file):
        group = file.groups[row.group]
        if row.user_id is not None:
            known.add(row.user_id)
        if _may_lead_elsewhere(row, group) and group.dataset in run.plan.datasets:
            lost[group.dataset].append(row)
    again = _Again(run, connectors, replayed)
    found = [_cast(run, sorted(known))]
    for name, rows in lost.items():
        found.append(again.users(run.plan.datasets[name], rows))
    return pl.concat(found).unique(maintain_order=True), replayed


def _may_lead_elsewhere(row: Kept, group: Group) -> bool:
    return group.what == "row" and (row.user_id is None or group.reason == _STRANGER)


def _cast(run: RunContext, ids: Sequence[str]) -> pl.DataFrame:
    made = cast_user_id(pl.Series(USER_ID, ids, dtype=pl.String), run.plan.pipeline.profile.user_id)
    return made.values.alias(USER_ID).drop_nulls().to_frame()


class _Again:
    """Reads rows again, and leads them as a whole run would."""

    def __init__(
        self, run: RunContext, connectors: Mapping[str, Connector], replayed: Replayed
    ) -> None:
        self._run, self._replayed = run, replayed
        self._reader, self._finder = KeyedReader(run, connectors), Finder(run, connectors)

    def users(self, entry: DatasetPlan, lost: Sequence[Kept]) -> pl.DataFrame:
        """The users whom rows of a dataset lead to now; those without any are noted as lost."""
        rows = self._read(entry, lost)
        if rows is None:
            return nobody(self._run)
        counts = RowCounts(rows=rows.height)
        users = self._led(entry, rows, counts)
        self._replayed.lost[entry.name] = counts
        return users

    def _led(self, entry: DatasetPlan, rows: pl.DataFrame, counts: RowCounts) -> pl.DataFrame:
        spec = self._run.plan.pipeline.profile.user_id
        if entry.is_reference:
            is_bad = rows[REASON].is_not_null()
            quarantine(rows.filter(is_bad), entry, counts)
            return self._finder.touched_by(entry, rows.filter(~is_bad))
        if not entry.links:
            return led_to_user(rows, entry, spec, counts).select(USER_ID)
        led: pl.DataFrame | None = keyed(rows, entry, counts)
        assert led is not None
        keys = led.select(key_columns(len(entry.first_key))).unique()
        crosswalks = self._reader.link_rows_of_keys(entry.links, keys)
        for hop, (link, _) in enumerate(entry.links):
            if led is None or not led.height:
                break
            led, ended = follow(led, crosswalks.get(link), entry, hop, spec)
            counts.quarantine += ended.quarantine
        return nobody(self._run) if led is None or not led.height else led.select(USER_ID)

    def _read(self, entry: DatasetPlan, lost: Sequence[Kept]) -> pl.DataFrame | None:
        """The rows as they are now, each once; rows that are gone are not among them."""
        by_columns: dict[tuple[str, ...], list[Kept]] = defaultdict(list)
        for row in lost:
            by_columns[_telling(entry, row)].append(row)
        self._replayed.untold += len(by_columns.pop((), ()))
        frames: list[pl.DataFrame] = []
        for columns, rows in by_columns.items():
            identity = pl.DataFrame(
                [[row.keys.get(name) for name in entry.identity] for row in rows],
                schema=dict.fromkeys(entry.identity, pl.String()),
                orient="row",
            ).unique(maintain_order=True)
            by_key = columns == entry.dataset.primary_key
            frames += self._matching(entry, list(columns), identity, by_key)
        return pl.concat(frames) if frames else None

    def _matching(
        self, entry: DatasetPlan, columns: list[str], identity: pl.DataFrame, by_key: bool
    ) -> list[pl.DataFrame]:
        """The rows with these values in some columns.

        A primary key may be one only within a user. Where several rows have it, only those that
        are the same in all that tells rows apart are meant.
        """
        found = self._reader.rows_where(entry, identity.select(columns).unique())
        if not by_key:
            return list(found)
        same: list[pl.DataFrame] = []
        others: list[pl.DataFrame] = []
        seen: list[pl.DataFrame] = []
        for rows in found:
            texts = rows.select(pl.col(entry.identity).cast(pl.String)).with_row_index(_PLACE)
            seen.append(texts.group_by(columns).agg(pl.len().alias(_SEEN)))
            exact = texts.join(identity, on=entry.identity, how="semi", nulls_equal=True)[_PLACE]
            is_same = pl.Series(range(rows.height), dtype=pl.UInt32).is_in(exact.implode())
            same.append(rows.filter(is_same))
            alone = ~is_same & ~texts.select(pl.struct(columns).is_duplicated()).to_series()
            others.append(rows.filter(alone))
        if not seen:
            return []
        times = pl.concat(seen).group_by(columns).agg(pl.col(_SEEN).sum())
        once = times.filter(pl.col(_SEEN) == 1).select(columns)
        rest = pl.concat(others)
        mine = rest.select(pl.col(columns).cast(pl.String)).with_row_index(_PLACE)
        places = mine.join(once, on=columns, how="semi")[_PLACE].sort().to_list()
        return [*same, rest[places]]


def _telling(entry: DatasetPlan, row: Kept) -> tuple[str, ...]:
    """The columns by which a row is found again; none where nothing tells which it is."""
    key = entry.dataset.primary_key
    if key and all(row.keys.get(name) is not None for name in key):
        return tuple(key)
    return tuple(name for name in entry.identity if row.keys.get(name) is not None)
