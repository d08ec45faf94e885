"""The rows of the product line *lending*: loans by account number, schedules by loan."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from devstack.bank import words
from devstack.bank.columns import (
    OPENING,
    Integers,
    Random,
    dates,
    days,
    money,
    numbered,
    places,
    updated_at,
)
from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.words import CANARY, pick

LOANS_MOST = 100
"""Loan numbers are made of their account's, with room for so many."""

_QUARTER_DAYS = 91
_TERMS = (4, 8, 8, 12, 12, 16, 20)
_NOTES = [f"{CANARY}: {text}" for text in ("standing order", "moved house", "called twice", "none")]


def lending_rows(random: Random, accounts: pl.DataFrame) -> Frames:
    """Loans on about a quarter of the accounts, and their schedules.

    Args:
        accounts: with ``account_no`` and the owner.
    """
    taken = accounts.filter(pl.Series(random.random(accounts.height) < 0.24))
    return new_loans(random, taken["account_no"], taken[OWNER].to_numpy(), 0)


def new_loans(random: Random, accounts: pl.Series, owners: Integers, number: int) -> Frames:
    """One loan on each account, the ``number``-th there, with its instalments."""
    rows = len(accounts)
    granted = days(random, rows, date(2019, 1, 1), date(2025, 12, 1))
    terms = np.array(_TERMS)[places(random, rows, _TERMS)]
    principal = random.integers(10, 2000, rows) * 10_000
    loan_ids = accounts.cast(pl.Int64).to_numpy() * LOANS_MOST + number
    loans = pl.DataFrame(
        {
            "loan_id": loan_ids,
            "account_no": accounts,
            "product": pick(words.LOAN_PRODUCTS, places(random, rows, words.LOAN_PRODUCTS)),
            "principal": money(principal),
            "rate": pl.Series(random.integers(10, 900, rows) / 100).cast(pl.String),
            "instalments": terms,
            "granted_on": dates(granted),
            # Local time of the back office, which sits in Auckland; no clock change at noon.
            "signed_at": dates(granted) + " 12:" + _two(random, rows) + ":" + _two(random, rows),
            "note": pick(_NOTES, places(random, rows, _NOTES)).cast(pl.Binary),
            "updated_at": updated_at(random, rows),
            OWNER: owners,
        }
    )
    return {"loan": loans, "schedule": _schedules(random, loan_ids, owners, granted, terms)}


def _schedules(
    random: Random, loans: Integers, owners: Integers, granted: Integers, terms: Integers
) -> pl.DataFrame:
    of, number = numbered(terms)
    due = granted[of] + (number + 1) * _QUARTER_DAYS
    today = int(OPENING.timestamp()) // 86_400
    paid = (due < today) & (random.random(len(of)) < 0.97)
    cents = random.integers(5_000, 400_000, len(loans))[of]
    return pl.DataFrame(
        {
            "loan_id": loans[of],
            "instalment": number + 1,
            "due_on": dates(due),
            "amount": money(cents),
            "paid_on": dates(due - random.integers(0, 5, len(of))).set(pl.Series(~paid), None),
            "updated_at": updated_at(random, len(of)),
            OWNER: owners[of],
        }
    )


def _two(random: Random, rows: int) -> pl.Series:
    return pl.Series(random.integers(0, 60, rows)).cast(pl.String).str.zfill(2)
