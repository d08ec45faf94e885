"""The rows of the product line *cards*: holders with references of their own, cards, purchases."""

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
    instants,
    microseconds,
    money,
    numbered,
    places,
    skewed,
    updated_at,
)
from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.words import pick

CARDS_MOST = 12
PURCHASES_MOST = 1000
"""Card and purchase numbers are made of their owner's, with room for so many."""

_YEAR_SECONDS = 365 * 86_400


def cards_rows(random: Random, ids: Integers) -> Frames:
    """The rows of cards for new customers with these ids: seven of ten have some."""
    owners = ids[random.random(len(ids)) < 0.7]
    counts = 1 + skewed(random, len(owners), 2.0, 0.3, CARDS_MOST - 2)
    who, number = numbered(counts)
    cards = new_cards(random, owners[who], number)
    bought = skewed(random, len(who), 1.25, 1.3, PURCHASES_MOST // 2)
    of, serial = numbered(bought)
    days_ago = random.exponential(40, len(of)) * 86_400
    at = microseconds(OPENING) // 1_000_000 - np.minimum(days_ago, _YEAR_SECONDS).astype(np.int64)
    return {
        "card_holder": pl.DataFrame(
            {
                "holder_ref": holder_refs(owners),
                "customer_id": owners,
                "updated_at": updated_at(random, len(owners)),
                OWNER: owners,
            }
        ),
        "card": cards,
        "purchase": new_purchases(random, owners[who[of]], number[of], serial, at),
    }


def holder_refs(owners: Integers) -> pl.Series:
    """The card-holder references of customers: the card system's own key."""
    return "CH-" + pl.Series(owners * 3 + 7).cast(pl.String)


def card_numbers(owners: Integers, numbers: Integers) -> pl.Series:
    """Card ids by owner and running number."""
    return "C" + pl.Series(owners * CARDS_MOST + numbers).cast(pl.String)


def new_cards(random: Random, owners: Integers, numbers: Integers) -> pl.DataFrame:
    """Cards, one for each owner and running number given."""
    rows = len(owners)
    return pl.DataFrame(
        {
            "card_id": card_numbers(owners, numbers),
            "holder_ref": holder_refs(owners),
            "brand": pick(words.BRANDS, places(random, rows, words.BRANDS)),
            "kind": pick(words.CARD_KINDS, places(random, rows, words.CARD_KINDS)),
            "valid_until": dates(days(random, rows, date(2026, 1, 31), date(2031, 12, 31))),
            "credit_limit": money(random.integers(1, 100, rows) * 50_000),
            "status": pick(words.STATUSES, places(random, rows, words.STATUSES)),
            "updated_at": updated_at(random, rows),
            OWNER: owners,
        }
    )


def new_purchases(
    random: Random, owners: Integers, cards: Integers, serials: Integers, at: Integers
) -> pl.DataFrame:
    """Purchases by owner, the card's number of his, their own number, and seconds since 1970."""
    rows = len(owners)
    cents = np.round(random.lognormal(7.8, 1.0, rows)).astype(np.int64) + 1
    return pl.DataFrame(
        {
            "purchase_id": (owners * CARDS_MOST + cards) * PURCHASES_MOST + serials,
            "holder_ref": holder_refs(owners),
            "card_id": card_numbers(owners, cards),
            "amount": money(cents),
            "currency": pick(words.CURRENCIES, places(random, rows, words.CURRENCIES)),
            "merchant": pick(words.MERCHANTS, places(random, rows, words.MERCHANTS)),
            "category": pick(words.CATEGORIES, places(random, rows, words.CATEGORIES)),
            "purchased_at": instants(at),
            # What was bought is written down once: the time of change is that of the purchase.
            "updated_at": pl.Series(at * 1_000_000).cast(pl.Datetime("us")),
            OWNER: owners,
        }
    )
