"""Whole profiles of chosen customers, built in plain Python: what a run must write for them.

An independent model of examples/demo_bank/pipeline.yaml: nothing of the pipeline is used, and of
the bank's own judgement only which rows are in profiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from devstack.bank import words
from devstack.bank.documents import DEEP, nested
from devstack.bank.ends import USER
from devstack.bank.expected import BROUGHT, DEVICES, RECENT, WISHES, Expected
from devstack.bank.planting import MESS

Row = Mapping[str, Any]
Document = dict[str, Any]

_OFFICE = ZoneInfo("Pacific/Auckland")
_TAGS: Sequence[list[str]] = ([], ["soon"], ["soon", "gift"], ["someday"])


def profile_of(user: int, expected: Expected) -> tuple[Document, Document]:
    """A customer's profile and credential, without ``_meta``.

    Args:
        user: who has a profile.
        expected: of the customer's block.
    """
    rows = {
        name: placed.filter(pl.col(USER) == user).to_dicts()
        for name, placed in expected.placed.items()
    }
    (login,) = rows["core.login"]
    profile = {
        "user_id": user,
        "identity": _identity(rows),
        "auth": {
            "locked": login["locked"],
            "closed": login["closed"],
            "failed_attempts": login["failed_attempts"],
            "last_login_at": _instant(login["last_login_at"]),
        },
        "roles": sorted(row["role"] for row in rows["core.customer_role"]),
        "permissions": rows["core.access"][0]["permissions"].strip("{}").split(","),
        "features": sorted(row["flag"] for row in rows["core.feature"]),
        "accounts": _accounts(rows),
        "cards": _cards(rows),
        "recent_purchases": _recent(rows["cards.recent"]),
        "preferences": _only(rows["engagement.preferences"], _preferences),
        "wish_list": _wishes(rows["engagement.wish_list"]),
        "devices": _devices(rows["engagement.devices"]),
        "demographics": _only(rows["engagement.demographics"], _demographics),
        "portfolio": _only(rows["engagement.portfolio"], _portfolio),
    }
    return profile, {"user_id": user, "auth": {"password_hash": login["password_hash"]}}


def _only(rows: list[Document], build: Any) -> Document | None:
    return build(rows[0]) if rows else None


def _cents(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _decimal(text: str) -> str:
    return str(Decimal(text).quantize(Decimal("0.01")))


def _instant(text: str) -> str:
    return text.removesuffix("+00").replace(" ", "T") + "Z"


def _identity(rows: Mapping[str, list[Document]]) -> Document:
    (customer,) = rows["core.customer"]
    contact = rows["engagement.contact"][0] if rows["engagement.contact"] else {}
    email = customer["email"]
    return {
        "name": customer["name"],
        "birth_date": customer["birth_date"],
        "email": contact.get("email") if email is None else email,
        "phone": customer["phone"],
        "address": {
            name: customer[name] for name in ("street", "postal_code", "city", "country")
        },
        "language": customer["language"],
        "segment": customer["segment"],
        "status": customer["status"],
        "kyc_level": customer["kyc_level"],
        "customer_since": customer["customer_since"],
        "email_verified": contact.get("verified"),
    }  # fmt: skip


def _accounts(rows: Mapping[str, list[Document]]) -> list[Document]:
    ordered = sorted(
        rows["core.account"], key=lambda row: (row["opened_on"], row["account_no"], row[BROUGHT])
    )
    return [
        {
            "account_no": row["account_no"],
            "role": row[BROUGHT],
            "product": row["product"],
            "balance": _decimal(row["balance"]),
            "currency": row["currency"],
            "interest_rate": float(row["interest_rate"]),
            "opened_on": row["opened_on"],
            "status": row["status"],
            "loans": _loans(row["account_no"], rows),
        }
        for row in ordered
    ]


def _loans(account: str, rows: Mapping[str, list[Document]]) -> list[Document]:
    ours = [row for row in rows["lending.loan"] if row["account_no"] == account]
    return [
        {
            "loan_id": row["loan_id"],
            "product": row["product"],
            "principal": row["principal"],
            "rate": _decimal(row["rate"]),
            "instalments": row["instalments"],
            "granted_on": row["granted_on"],
            "signed_at": _signed(row["signed_at"]),
            "note": row["note"].decode(),
            "schedule": _schedule(row["loan_id"], rows["lending.schedule"]),
        }
        for row in sorted(ours, key=lambda row: (row["granted_on"], row["loan_id"]))
    ]


def _signed(text: str) -> str:
    local = datetime.fromisoformat(text).replace(tzinfo=_OFFICE)
    return local.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _schedule(loan: int, rows: list[Document]) -> Document | None:
    ours = [row for row in rows if row["loan_id"] == loan]
    if not ours:
        return None
    unpaid = [row for row in ours if row["paid_on"] is None]
    return {
        "instalments": len(ours),
        "paid": len(ours) - len(unpaid),
        "outstanding": str(sum((Decimal(row["amount"]) for row in unpaid), Decimal("0.00"))),
        "next_due": min((row["due_on"] for row in unpaid), default=None),
    }


def _cards(rows: Mapping[str, list[Document]]) -> list[Document]:
    return [
        {
            "card_id": row["card_id"],
            "brand": row["brand"],
            "kind": row["kind"],
            "valid_until": row["valid_until"],
            "credit_limit": _decimal(row["credit_limit"]),
            "status": row["status"],
            "spending": _spending(row["card_id"], rows["cards.spending"]),
        }
        for row in sorted(rows["cards.card"], key=lambda row: row["card_id"])
    ]


def _spending(card: str, rows: list[Document]) -> Document | None:
    ours = [row for row in rows if row["card_id"] == card]
    if not ours:
        return None
    last = max(row["purchased_at"] for row in ours)
    travel = [Decimal(row["amount"]) for row in ours if row["category"] == "travel"]
    return {
        "purchases": len(ours),
        "total": str(sum(Decimal(row["amount"]) for row in ours)),
        "travel": str(sum(travel, Decimal("0.00"))),
        "largest": str(max(Decimal(row["amount"]) for row in ours)),
        # Of several at one moment the last by alphabet.
        "last_category": max(row["category"] for row in ours if row["purchased_at"] == last),
        "spent": float(sum(Decimal(row["amount"]) for row in ours)),
    }


def _recent(rows: list[Document]) -> list[Document]:
    by_number = sorted(rows, key=lambda row: row["purchase_id"])
    by_time = sorted(by_number, key=lambda row: row["purchased_at"], reverse=True)
    return [
        {
            "at": _instant(row["purchased_at"]),
            "merchant": row["merchant"],
            "category": row["category"],
            "amount": _decimal(row["amount"]),
        }
        for row in by_time[:RECENT]
    ]


def _preferences(row: Row) -> Document:
    return {
        "theme": "5" if row[MESS] == "theme is a number" else row["theme"],
        "push": row["push"],
        "mail": row["mail"],
        "sms": row["sms"],
        "topics": [t for bit, t in enumerate(words.TOPICS) if row["topics"] >> bit & 1],
    }


def _wishes(rows: list[Document]) -> list[Document]:
    by_sku = sorted(rows, key=lambda row: row["sku"])
    by_day = sorted(by_sku, key=lambda row: row["added_on"], reverse=True)
    made = []
    for row in by_day[:WISHES]:
        wish: Document = {"title": row["title"], "category": row["category"]}
        cents = row["price_cents"]
        if row["price_form"] == 3:
            wish["price"] = _cents(cents // 100 * 100)
        elif row["price_form"] != 4:
            wish["price"] = _cents(cents)
        if row["tags"]:
            wish["tags"] = _TAGS[row["tags"]]
        made.append(wish | {"added_at": f"{row['added_on']}T00:00:00Z"})
    return made


def _devices(rows: list[Document]) -> list[Document]:
    by_id = sorted(rows, key=lambda row: row["device_id"])
    by_day = sorted(by_id, key=lambda row: row["last_seen_on"], reverse=True)
    return [
        {
            "name": row["name"],
            "platform": row["platform"],
            "trusted": row["trusted"],
            "last_seen_at": f"{row['last_seen_on']}T00:00:00Z",
        }
        for row in by_day[:DEVICES]
    ]


def _demographics(row: Row) -> Document:
    made: Document = {"income_band": row["income_band"]}
    if row["occupation"] is not None:
        made["occupation"] = row["occupation"]
    if row[MESS] == "household deep":
        made["household"] = nested(DEEP)
    elif row["has_household"]:
        made["household"] = {"adults": row["adults"], "children": row["children"]}
    return made


def _portfolio(row: Row) -> Document:
    positions: list[Any] = [
        {"isin": words.ISINS[(row["first"] + n * 7) % len(words.ISINS)], "units": 5 * n + 1}
        for n in range(row["positions"])
    ]
    if row[MESS] == "positions twice nested":
        positions = [positions]
    return {
        "risk_profile": row["risk_profile"],
        "total": _cents(row["total_cents"]),
        "positions": positions,
    }
