"""Offers in the app, from the profile alone: wish list, demographics, recent purchases.

No other system is asked, so they are there as fast as the profile is. Each says why it is made.
Any section may be missing or null; what a rule does not know, it does not guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

SECTIONS = ("wish_list", "demographics", "recent_purchases", "preferences.topics", "roles")
"""What of a profile the offers are made from: an app reads these paths and no more."""

MOST = 3
INSTALMENTS = 12
SMALL, LARGE = Decimal(300), Decimal(10_000)
"""What costs less is paid at once; what costs more needs a talk, not an offer."""

LOW_INCOME = "up to 20k"
OFTEN = 2
"""Of the last five purchases."""

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """An offer: a word for programs, and what the user reads."""

    kind: str
    title: str
    text: str
    because: str


def offers_of(profile: Section) -> list[Offer]:
    """The best offers for a user, at most three, one of a kind.

    Nothing for who has not said that he wants offers: ``offers`` among ``preferences.topics``.
    """
    if "offers" not in _names((profile.get("preferences") or {}).get("topics")):
        return []
    made: dict[str, Offer] = {}
    for offer in _all(profile):
        made.setdefault(offer.kind, offer)
    return list(islice(made.values(), MOST))


def _all(profile: Section) -> Iterator[Offer]:
    demographics = profile.get("demographics") or {}
    may_borrow = (
        "customer" in _names(profile.get("roles"))
        and demographics.get("income_band") is not None
        and demographics["income_band"] != LOW_INCOME
    )
    for wish in _rows(profile.get("wish_list")):
        yield from _for_wish(wish, may_borrow=may_borrow)
    yield from _for_family(demographics)
    yield from _for_purchases(_rows(profile.get("recent_purchases")))


def _for_wish(wish: Section, *, may_borrow: bool) -> Iterator[Offer]:
    title, price = wish.get("title"), _money(wish.get("price"))
    if not isinstance(title, str):
        return
    because = f"“{title}” is on your wish list."
    if wish.get("category") == "travel":
        text = "Cancelled, ill or lost: covered from the day you book."
        yield Offer("travel_insurance", "Travel insurance", text, because)
    if price is None or not SMALL <= price <= LARGE:
        return
    monthly = (price / INSTALMENTS).quantize(Decimal("0.01"))
    if may_borrow:
        text = f"{monthly} a month for {INSTALMENTS} months, without interest."
        yield Offer("instalments", "Pay it in instalments", text, because)
    else:
        text = f"Put {monthly} aside each month, and it is yours in a year."
        yield Offer("savings_plan", "Save for it", text, because)


def _for_family(demographics: Section) -> Iterator[Offer]:
    household = demographics.get("household")
    children = household.get("children") if isinstance(household, Mapping) else None
    if isinstance(children, int) and children > 0:
        text = "An account that grows with them, from 10 a month."
        because = "You have told us that children live with you."
        yield Offer("child_savings", "Save for your children", text, because)


def _for_purchases(purchases: Sequence[Section]) -> Iterator[Offer]:
    bought = Counter(p["category"] for p in purchases if isinstance(p.get("category"), str))
    for category, times in sorted(bought.items(), key=lambda pair: (-pair[1], pair[0])):
        if times >= OFTEN:
            text = "2 % back on whatever you buy of it by card."
            because = f"{times} of your last {len(purchases)} purchases were {category}."
            yield Offer("cashback", f"Cashback: {category}", text, because)


def _rows(value: Any) -> list[Section]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _money(value: Any) -> Decimal | None:
    """Money stands in profiles as text: a double would not hold it."""
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None
