"""Where every row of a block must end in a run, worked out from what was planted.

This is the demo bank's own judgement, for tests to hold a run against: it knows the bank, and
shares no code with the pipeline. What a planted mess means by itself stands in ``messes``; what
follows from it for other rows (a held customer, a lost account's loans) is worked out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from devstack.bank import messes
from devstack.bank.core_rows import Frames
from devstack.bank.planting import MESS, Mess

USER = "_user"
_BAD, _HITS, _KNOWN = "_bad", "_hits", "_known"

MESSES: dict[str, Sequence[Mess]] = {
    "customer": messes.CUSTOMER,
    "login": messes.LOGIN,
    "access": messes.ACCESS,
    "customer_role": messes.ROLE,
    "feature": messes.FEATURE,
    "account": (*messes.ACCOUNT, *messes.ACCOUNT_OF_LOAN),
    "account_holder": (*messes.HOLDER, *messes.HOLDER_OF_LOAN),
    "card_holder": messes.CARD_HOLDER,
    "card": messes.CARD,
    "purchase": messes.PURCHASE,
    "loan": messes.LOAN,
    "schedule": messes.SCHEDULE,
    "preferences": messes.PREFERENCES,
    "contact": messes.CONTACT,
    "wish_list": messes.WISH_LIST,
    "wish_item": messes.WISH_ITEM,
    "devices": messes.DEVICE,
    "demographics": messes.DEMOGRAPHICS,
    "portfolio": messes.PORTFOLIO,
}


@dataclass
class Ends:
    """Where the rows of one dataset end, in the report's own words.

    ``keys`` are those of the quarantined rows by reason, as texts; rows of held users have none.
    """

    rows: int = 0
    copies: int = 0
    placed: int = 0
    reference: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def __iadd__(self, other: Ends) -> Ends:
        self.rows += other.rows
        self.copies += other.copies
        self.placed += other.placed
        self.reference += other.reference
        self.filtered += other.filtered
        self.quarantined += other.quarantined
        for reason, keys in other.keys.items():
            self.keys.setdefault(reason, []).extend(keys)
        return self


def with_bad(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """The rows with the reason for which each is bad by itself, or null."""
    reasons = {mess.kind: mess.reason for mess in MESSES[table] if mess.reason is not None}
    bad = pl.col(MESS).replace_strict(reasons, default=None, return_dtype=pl.String)
    return frame.with_columns(bad.alias(_BAD))


class Way:
    """One dataset's rows on their way: each step takes away those that end there."""

    def __init__(self, rows: pl.DataFrame, keys: Sequence[str]) -> None:
        self.left, self._keys = rows, keys
        self.ends = Ends(rows=rows.height)
        self.lost: list[pl.DataFrame] = []
        """Users of quarantined rows with the reason, where the user was known."""

    def quarantine(self, which: pl.Expr, reason: str | None = None) -> None:
        """Ends rows for the reason given, or each for its own."""
        which = which.fill_null(value=False)
        gone = self.left.filter(which)
        self.left = self.left.filter(~which)
        if not gone.height:
            return
        why = pl.col(_BAD) if reason is None else pl.lit(reason)
        key = pl.concat_str(
            [pl.col(k).cast(pl.String).fill_null("") for k in self._keys], separator="/"
        )
        told = gone.select(why.alias("why"), key.alias("key"))
        for (each,), rows in told.group_by("why", maintain_order=True):
            self.ends.quarantined[str(each)] += rows.height
            self.ends.keys.setdefault(str(each), []).extend(rows["key"].to_list())
        if USER in gone.columns:
            self.lost.append(gone.select(USER, why.alias("why")))

    def orphan(self, which: pl.Expr, reason: str) -> None:
        """Ends rows that lead nowhere; a bad row keeps its own reason."""
        self.quarantine(which & pl.col(_BAD).is_not_null())
        self.quarantine(which, reason)

    def drop(self, which: pl.Expr, why: str) -> None:
        """Filters rows out."""
        kept = self.left.filter(~which.fill_null(value=False))
        if kept.height < self.left.height:
            self.ends.filtered[why] += self.left.height - kept.height
        self.left = kept

    def follow(
        self, link: str, crosswalk: pl.DataFrame, key: str, to: str, *, many: bool = False
    ) -> None:
        """Leads the rows by a crosswalk, as ``crosswalk`` gives it."""
        self.orphan(pl.col(key).is_null(), f"no_link_key ({key})")
        self._step(link, crosswalk, key, to, many=many)

    def follow_on(self, link: str, crosswalk: pl.DataFrame, key: str, to: str) -> None:
        """Leads the rows one link further."""
        self._step(link, crosswalk, key, to, many=False)

    def _step(self, link: str, crosswalk: pl.DataFrame, key: str, to: str, *, many: bool) -> None:
        known = crosswalk.filter(pl.col(to).is_not_null())
        hits = crosswalk.group_by(key).agg(pl.len().alias(_HITS), pl.col(to).count().alias(_KNOWN))
        self.left = self.left.join(hits, on=key, how="left")
        self.orphan(pl.col(_KNOWN).fill_null(0) == 0, f"no_link ({link})")
        if not many:
            self.quarantine(pl.col(_HITS) > 1, f"ambiguous_link ({link})")
        before = self.left.height
        self.left = self.left.drop(_HITS, _KNOWN).join(known, on=key, how="inner")
        self.ends.copies += self.left.height - before

    def settle(self, everyone: pl.Series, unique: Sequence[Sequence[str]]) -> None:
        """Ends the rows of strangers, the bad ones, and those that repeat a key.

        Args:
            everyone: the ids of all users.
            unique: columns that may not repeat together for a user.
        """
        self.quarantine(~pl.col(USER).is_in(everyone.implode()), "unknown_user")
        self.lost.clear()  # a stranger is held by nothing
        self.quarantine(pl.col(_BAD).is_not_null())
        for columns in unique:
            told = ",".join(columns)
            twice = pl.struct([USER, *columns]).is_duplicated()
            self.quarantine(twice, f"duplicate ({told})" if told else "duplicate")

    def withhold(self, held: pl.Series) -> None:
        """Ends the rows of held users; they are counted, not listed."""
        is_held = pl.col(USER).is_in(held.implode())
        number = self.left.filter(is_held).height
        if number:
            self.ends.quarantined["user_held"] += number
        self.left = self.left.filter(~is_held)

    def in_element(self, elements: pl.DataFrame, key: str) -> None:
        """Ends the rows without an element of their own in the list around."""
        hits = elements.group_by(USER, key).len(_HITS)
        self.left = self.left.join(hits, on=[USER, key], how="left")
        self.quarantine(pl.col(_HITS).is_null(), f"no_element ({key})")
        self.quarantine(pl.col(_HITS) > 1, f"ambiguous_element ({key})")
        self.left = self.left.drop(_HITS)

    def limit(self, order: Sequence[str], descending: Sequence[bool], most: int) -> None:
        """Filters out what is beyond a list's limit."""
        ordered = self.left.sort([USER, *order], descending=[False, *descending])
        number = pl.int_range(pl.len()).over(USER)
        self.left = ordered.with_columns(number.alias(_HITS))
        self.drop(pl.col(_HITS) >= most, "limit")
        self.left = self.left.drop(_HITS)

    def place(self) -> None:
        """Counts what is left as placed."""
        self.ends.placed = self.left.height

    def refer(self) -> None:
        """Counts what is left as reference rows, but for the bad ones."""
        self.quarantine(pl.col(_BAD).is_not_null())
        self.ends.reference = self.left.height


def way_of(frames: Frames, table: str, keys: Sequence[str]) -> Way:
    """The rows of a table at the start of their way."""
    return Way(with_bad(frames[table], table), keys)


def crosswalk(rows: pl.DataFrame, key: pl.Expr, **to: pl.Expr) -> pl.DataFrame:
    """Where keys lead: the key, and columns of the given names, the first of them the target.

    A bad row stands there with nulls, as nobody knows where it would have led.
    """
    target = next(iter(to))
    bad = pl.col(_BAD).is_not_null()
    good = [pl.when(~bad).then(value).alias(name) for name, value in to.items()]
    made = rows.select(key, *good, bad).drop_nulls(key.meta.output_name())
    return made.filter(pl.col(_BAD) | pl.col(target).is_not_null()).drop(_BAD).unique()
