"""Finder: users found by what leads to them, in the open sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from connectors.base import Connector
from core.entries import Column
from core.errors import ConfigError
from core.plan import DatasetPlan
from core.records import ChangeFilter, RowCounts
from flows.keyed import Chain, KeyedReader, nobody
from flows.run_context import RunContext
from transforms.casts import cast
from transforms.columns import USER_ID, key_columns
from transforms.normalise import folded, keyed, led_to_user, link_rows


@dataclass
class _Trail:
    """What leads to users, noted while a source is read, and followed once that is over.

    A connection answers one question at a time.
    """

    users: list[pl.DataFrame] = field(default_factory=list)
    keys: dict[tuple[str, ...], tuple[Chain, list[pl.DataFrame]]] = field(default_factory=dict)
    """By the names of a chain of links: the chain, and keys that its first link leads from."""
    looked_up: dict[tuple[str, str], list[pl.Series]] = field(default_factory=dict)
    """By dataset and the column with which it looks up: values of that column."""

    def lead(self, chain: Chain, keys: pl.DataFrame) -> None:
        """Notes keys to follow along a chain."""
        names = tuple(name for name, _ in chain)
        self.keys.setdefault(names, (chain, []))[1].append(keys.unique())


class Finder:
    """Finds users by what leads to them."""

    def __init__(self, run: RunContext, connectors: Mapping[str, Connector]) -> None:
        self._run, self._plan, self._connectors = run, run.plan, connectors
        self._reader = KeyedReader(run, connectors)

    def by_key(self, link: str, keys: tuple[str, ...]) -> pl.DataFrame:
        """All users that a link leads to from some keys, over the links that follow it."""
        chain = self._chain_from(link)
        first = self._plan.pipeline.links[link]
        entry = self._plan.datasets[first.dataset]
        if len(first.from_) != 1:
            raise ConfigError(f"selection: link {link} has a key of several columns")
        column = entry.types[first.from_[0]]
        kind = column.item or column.kind
        texts = pl.Series(keys, dtype=pl.String)
        if kind == "integer":
            made = cast(texts, Column(), column, column, None)
            if made.reasons is not None:
                raise ConfigError(f"selection: the keys of link {link} are integers")
            texts = made.values
        name = key_columns(1)[0]
        folding = pl.DataFrame({"k": texts})
        frame = folding.select(folded(pl.col("k"), folding.schema["k"], first).alias(name))
        return self._reader.users_of_keys(chain, frame.unique(maintain_order=True))

    def by_source(self, source: str, entries: Sequence[DatasetPlan] = ()) -> pl.DataFrame:
        """All users that rows of a source (or only of some of its datasets) lead to."""
        trail = _Trail()
        for entry in entries or self._plan.placed:
            if entry.source == source:
                for rows in self._reader.all_rows(entry):
                    self._note_users(trail, entry, rows)
        return self._followed(trail)

    def changed(self, spans: Mapping[str, tuple[datetime, datetime]]) -> pl.DataFrame:
        """All users whose documents rows with a cursor in their source's span may change."""
        trail = _Trail()
        for entry in self._plan.datasets.values():
            if entry.dataset.cursor is None or entry.source not in spans:
                continue
            change = ChangeFilter(entry.dataset.cursor, *spans[entry.source])
            for rows in self._reader.changed_rows(entry, change):
                self._note_all(trail, entry, rows)
        return self._followed_all(trail)

    def touched_by(self, entry: DatasetPlan, rows: pl.DataFrame) -> pl.DataFrame:
        """All users whose documents some rows may change."""
        trail = _Trail()
        self._note_all(trail, entry, rows)
        return self._followed_all(trail)

    def _note_all(self, trail: _Trail, entry: DatasetPlan, rows: pl.DataFrame) -> None:
        """Notes the users of rows themselves, of those that rows link, and that look rows up."""
        if not entry.is_reference:
            self._note_users(trail, entry, rows)
        for name, link in self._plan.links_from(entry.name).items():
            led = link_rows(rows, name, link, entry)
            keys = led.select(key_columns(len(link.from_))).drop_nulls()
            trail.lead(self._chain_from(name), keys)
        for other in self._plan.placed:
            for lookup in other.dataset.lookups.values():
                if lookup.dataset == entry.name:
                    values = trail.looked_up.setdefault((other.name, lookup.on), [])
                    values.append(rows[lookup.key].unique())

    def _note_users(self, trail: _Trail, entry: DatasetPlan, rows: pl.DataFrame) -> None:
        if entry.links:
            with_keys = keyed(rows, entry, RowCounts())
            trail.lead(entry.links, with_keys.select(key_columns(len(entry.first_key))))
        else:
            led = led_to_user(rows, entry, self._plan.pipeline.profile.user_id, RowCounts())
            trail.users.append(led.select(USER_ID).unique())

    def _followed_all(self, trail: _Trail) -> pl.DataFrame:
        """As ``_followed``, with the users of rows that look noted rows up."""
        for (name, column), values in trail.looked_up.items():
            other = self._plan.datasets[name]
            for rows in self._reader.rows_of_column(other, column, pl.concat(values)):
                self._note_users(trail, other, rows)
        return self._followed(trail)

    def _followed(self, trail: _Trail) -> pl.DataFrame:
        found = [nobody(self._run), *trail.users]
        for chain, keys in trail.keys.values():
            together = pl.concat(keys).unique(maintain_order=True)
            found.append(self._reader.users_of_keys(chain, together))
        return pl.concat(found).unique(maintain_order=True)

    def _chain_from(self, link: str) -> Chain:
        """A link and those that lead on from it to the user."""
        for entry in self._plan.placed:
            names = [name for name, _ in entry.links]
            if link in names:
                return entry.links[names.index(link) :]
        raise ConfigError(f"selection: no dataset uses link {link!r}")
