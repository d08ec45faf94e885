"""Rows asked for by key: what a few users need, without reading whole tables.

A connector delivers at least the rows with the keys asked for (``core.records.Query``); here they
are cast and filtered exactly. A link is followed from users back to keys, and from these keys
forward to *all* their users: joint accounts and shared e-mails come out as in a nightly run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from connectors.base import Connector
from core.pipeline import Link
from core.plan import DatasetPlan, Plan
from core.records import ChangeFilter, KeyFilter, RowCounts
from flows.run_context import RunContext
from transforms.casts import cast_user_id
from transforms.columns import REASON, USER_ID, key_columns, to_columns
from transforms.normalise import folded, keyed, led_to_user, link_rows, normalise

KEYS_AT_ONCE = 1000
"""Keys in one question to a source."""

_KINDS = frozenset(("integer", "string", "uuid", "objectid"))
_CHUNK_BYTES = 4 * 2**20

Chain = Sequence[tuple[str, Link]]


class KeyedReader:
    """Reads rows by key from open connectors, and follows links in both directions."""

    def __init__(self, run: RunContext, connectors: Mapping[str, Connector]) -> None:
        self._run, self._plan, self._connectors = run, run.plan, connectors
        self._spec = spec = run.plan.pipeline.profile.user_id
        self._is_loose_id = bool(spec.trim or spec.case or spec.type in ("uuid", "objectid"))

    def rows_of_users(self, entry: DatasetPlan, users: pl.DataFrame) -> pl.DataFrame | None:
        """A dataset's rows with ``USER_ID`` that lead directly to some of the users, if any.

        Args:
            users: column ``USER_ID``.
        """
        column = entry.user_column
        assert column is not None
        made, seen = [], 0
        for part, frame in self._read(entry, [column], users, loose=self._is_loose_id):
            seen += frame.height
            led = led_to_user(frame, entry, self._spec, RowCounts(rows=seen))
            made.append(led.join(part, on=USER_ID, how="semi"))
        return pl.concat(made) if made else None

    def rows_of_keys(self, entry: DatasetPlan, keys: pl.DataFrame) -> pl.DataFrame | None:
        """A linked dataset's rows whose first link's key is among the keys (``__key0…``)."""
        names = key_columns(len(entry.first_key))
        loose = entry.links[0][1].case_insensitive
        made, seen = [], 0
        for part, frame in self._read(entry, entry.first_key, keys, loose=loose):
            seen += frame.height
            led = keyed(frame, entry, RowCounts(rows=seen))
            made.append(led.join(part, on=names, how="semi"))
        return pl.concat(made) if made else None

    def rows_of_column(
        self, entry: DatasetPlan, column: str, values: pl.Series
    ) -> Iterator[pl.DataFrame]:
        """A dataset's good rows whose column has one of the values, each row once."""
        wanted = values.drop_nulls().unique().alias(column).to_frame()
        for part, frame in self._read(entry, [column], wanted, loose=False):
            good = frame.filter(pl.col(REASON).is_null())
            yield good.join(part, on=column, how="semi")

    def rows_where(self, entry: DatasetPlan, keys: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """A dataset's rows, bad ones too, that have one of some combinations of values.

        Args:
            keys: columns of the dataset, as texts; an array as its JSON text.
        """
        asked, exact = keys, True
        for column in keys.columns:
            kind = entry.types[column]
            values = pl.col(column)
            if kind.kind == "array":
                item = pl.Int64() if kind.item == "integer" else pl.String()
                asked = asked.with_columns(values.str.json_decode(pl.List(item)))
                asked, exact = asked.explode(column, empty_as_null=True), False
            elif kind.kind == "integer":
                asked = asked.with_columns(values.cast(pl.Int64, strict=False))
        for part, frame in self._read(entry, keys.columns, asked.drop_nulls().unique(), False):
            wanted = part.select(pl.all().cast(pl.String)) if exact else keys
            texts = frame.select(pl.col(keys.columns).cast(pl.String)).with_row_index("__row")
            mine = texts.join(wanted, on=keys.columns, how="semi")["__row"]
            yield frame[mine.sort().to_list()]

    def all_rows(self, entry: DatasetPlan) -> Iterator[pl.DataFrame]:
        """All rows of a dataset."""
        yield from self._frames(entry, (), None)

    def changed_rows(self, entry: DatasetPlan, changed: ChangeFilter) -> Iterator[pl.DataFrame]:
        """A dataset's rows whose cursor lies in ``[since, until)``."""
        cursor = pl.col(changed.column).cast(pl.Datetime("us", "UTC"))
        inside = (cursor >= changed.since) & (cursor < changed.until)
        for frame in self._frames(entry, (), changed):
            yield frame.filter(inside.fill_null(value=False))

    def keys_of_users(self, chain: Chain, users: pl.DataFrame) -> pl.DataFrame:
        """The keys (``__key0…`` of the chain's first link) that lead to some of the users."""
        wanted, following = users, None
        for name, link in reversed(chain):
            wanted = self._keys_to(name, link, wanted, following)
            following = link
        return wanted

    def link_rows_of_keys(self, chain: Chain, keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """All link rows that keys of the chain's first link lead through, by link."""
        found: dict[str, pl.DataFrame] = {}
        for position, (name, link) in enumerate(chain):
            entry = self._plan.datasets[link.dataset]
            names = key_columns(len(link.from_))
            parts = [
                link_rows(frame, name, link, entry).join(part, on=names, how="semi")
                for part, frame in self._read(entry, link.from_, keys, link.case_insensitive)
            ]
            rows = pl.concat(parts).unique(maintain_order=True) if parts else None
            if rows is None:
                return found
            found[name] = rows
            if position < len(chain) - 1:
                keys = next_keys(rows, link, chain[position + 1][1])
        return found

    def users_of_keys(self, chain: Chain, keys: pl.DataFrame) -> pl.DataFrame:
        """All users (``USER_ID``) that keys of the chain's first link lead to."""
        rows = self.link_rows_of_keys(chain, keys).get(chain[-1][0])
        return nobody(self._run) if rows is None else users_in(rows, self._run)

    def _keys_to(
        self, name: str, link: Link, wanted: pl.DataFrame, following: Link | None
    ) -> pl.DataFrame:
        """The keys (``__key0…``) of a link's rows that lead to users, or to the following's keys.

        Args:
            wanted: ``USER_ID``, or ``__key0…`` of the following link.
        """
        entry = self._plan.datasets[link.dataset]
        loose = self._is_loose_id if following is None else following.case_insensitive
        made = [_no_keys(self._plan, link)]
        for part, frame in self._read(entry, link.to, wanted, loose=loose):
            rows = link_rows(frame, name, link, entry)
            targets = to_columns(len(link.to))
            if following is None:
                reached = [cast_user_id(rows[targets[0]], self._spec).values.alias(USER_ID)]
            else:
                reached = rows.select(
                    folded(pl.col(t), rows.schema[t], following).alias(column)
                    for t, column in zip(targets, part.columns, strict=True)
                ).get_columns()
            there = pl.DataFrame(reached).with_row_index("__row")
            mine = there.join(part, on=part.columns, how="semi")["__row"]
            made.append(rows[mine.to_list()].select(key_columns(len(link.from_))))
        return pl.concat(made).unique(maintain_order=True)

    def _read(
        self, entry: DatasetPlan, columns: Sequence[str], keys: pl.DataFrame, loose: bool
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Pairs of some of the keys and typed rows among which theirs are; all keys in turn."""
        if not keys.height:
            return
        kinds = [_pushable(entry, column) for column in columns]
        many = keys.height > self._run.settings.keyed_users
        # A row whose array has keys of two questions would come twice.
        twice = keys.height > KEYS_AT_ONCE and any(entry.types[c].kind == "array" for c in columns)
        if many or twice or not any(kinds):
            for frame in self._frames(entry, (), None):
                yield keys, frame
            return
        for start in range(0, keys.height, KEYS_AT_ONCE):
            part = keys.slice(start, KEYS_AT_ONCE)
            filters = tuple(
                KeyFilter(column, self._values(part[name]), loose or _is_loose(entry, column))
                for column, name, kind in zip(columns, part.columns, kinds, strict=True)
                if kind
            )
            for frame in self._frames(entry, filters, None):
                yield part, frame

    def _values(self, keys: pl.Series) -> tuple[int, ...] | tuple[str, ...]:
        """The values to ask for; of a padded user id all its spellings with fewer zeros, too."""
        values = keys.to_list()
        if keys.name != USER_ID or self._spec.pad is None:
            return tuple(values)
        short = [
            value[zeros:]
            for value in values
            for zeros in range(len(value) - len(value.lstrip("0")) + 1)
            if value[zeros:]
        ]
        return tuple(dict.fromkeys(short))

    def _frames(
        self, entry: DatasetPlan, filters: tuple[KeyFilter, ...], changed: ChangeFilter | None
    ) -> Iterator[pl.DataFrame]:
        if changed is not None and changed.column not in entry.columns:
            changed = None  # a hook makes it: all rows are read
        query = replace(entry.query, keys=filters, changed=changed)
        for frame in self._connectors[entry.source].read(query, _CHUNK_BYTES):
            yield normalise(frame, entry, self._run.hooks.get(entry.name)).rows


def next_keys(rows: pl.DataFrame, link: Link, following: Link) -> pl.DataFrame:
    """The next link's keys (``__key0…``) that rows of a link lead to."""
    targets = to_columns(len(link.to))
    keys = key_columns(len(targets))
    return rows.select(
        folded(pl.col(target), rows.schema[target], following).alias(key)
        for target, key in zip(targets, keys, strict=True)
    ).unique(maintain_order=True)


def users_in(rows: pl.DataFrame, run: RunContext) -> pl.DataFrame:
    """The users (``USER_ID``) that rows of a last link lead to."""
    made = cast_user_id(rows[to_columns(1)[0]], run.plan.pipeline.profile.user_id)
    return made.values.alias(USER_ID).drop_nulls().unique(maintain_order=True).to_frame()


def nobody(run: RunContext) -> pl.DataFrame:
    """No users."""
    integer = run.plan.pipeline.profile.user_id.type == "integer"
    return pl.DataFrame(schema={USER_ID: pl.Int64() if integer else pl.String()})


def _no_keys(plan: Plan, link: Link) -> pl.DataFrame:
    types = plan.datasets[link.dataset].types
    kinds = [types[column].item or types[column].kind for column in link.from_]
    dtypes = [pl.Int64() if kind == "integer" else pl.String() for kind in kinds]
    return pl.DataFrame(schema=dict(zip(key_columns(len(dtypes)), dtypes, strict=True)))


def _pushable(entry: DatasetPlan, column: str) -> bool:
    """Whether a source can be asked for values of the column: not where a hook may change it."""
    kind = entry.types[column]
    return (
        entry.dataset.transform is None
        and column in entry.columns
        and (kind.item or kind.kind) in _KINDS
    )


def _is_loose(entry: DatasetPlan, column: str) -> bool:
    declared = entry.columns[column]
    kind = entry.types[column]
    spellings = (kind.item or kind.kind) in ("uuid", "objectid")
    return bool(declared.trim or declared.case or spellings)
