"""MongoDB documents of the rows of engagement: nested, ragged, some of them awkward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import bson
import polars as pl
from bson import Decimal128, Int64
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from devstack.bank import words
from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.messes import BEYOND
from devstack.bank.planting import MESS, STRANGERS
from devstack.bank.words import CANARY

Document = dict[str, Any]
Row = dict[str, Any]

DEEP, TOO_DEEP = 40, 110
"""Levels of nesting: the first is unusual, the second more than a profile takes."""

YEAR_10000_MS = 253_402_300_800_000
_NOT_UTF8 = "\x7f\x7f\x7f"
_TAGS = [[], ["soon"], ["soon", "gift"], ["someday"]]


def documents_of(collection: str, frames: Frames) -> Iterator[Document | RawBSONDocument]:
    """The documents of a collection, in the order of its rows."""
    rows = frames[collection]
    if collection == "wish_list":
        return _wish_lists(rows, frames["wish_item"])
    make, spoil = _MAKE[collection], _SPOIL[collection]
    return (
        make(row) if row[MESS] is None else spoil(make(row), row[MESS])
        for row in rows.iter_rows(named=True)
    )


def _preferences(row: Row) -> Document:
    topics = [topic for bit, topic in enumerate(words.TOPICS) if row["topics"] >> bit & 1]
    return {
        "_id": row["_id"],
        "email": row["email"],
        "theme": row["theme"],
        "channels": {"push": row["push"], "mail": row["mail"], "sms": row["sms"]},
        "topics": topics,
        "updated_at": row["updated_at"],
    }


def _spoilt_preferences(document: Document, mess: str) -> Document:
    match mess:
        case "no e-mail":
            del document["email"]
        case "e-mail is a document":
            document["email"] = {"address": document["email"]}
        case "e-mail of nobody":
            document["email"] = f"nobody-{document['email'].strip()}"
        case "push is a word":
            document["channels"]["push"] = "yes"
        case "theme is a number":
            document["theme"] = 5
    return document


def _contact(row: Row) -> Document:
    return {
        "_id": row["_id"],
        "customer_no": str(row[OWNER]),
        "email": row["email"],
        "verified": row["verified"],
        "updated_at": row["updated_at"],
    }


def _spoilt_contact(document: Document, mess: str) -> Document:
    number = document["customer_no"]
    changed = {
        "number padded with zeros": f"00{number}",
        "number blank": "  ",
        "number a double": float(number),
        "number with a command": f"{number}\r\nDEL x",
        "number beyond 2^53": str(BEYOND + int(number)),
        "number an integer": Int64(number),
        "number padded with blanks": f" {number} ",
    }
    if mess == "no number":
        del document["customer_no"]
    else:
        document["customer_no"] = changed[mess]
    return document


def _demographics(row: Row) -> Document:
    document: Document = {"_id": row["_id"], "customer_no": str(row[OWNER])}
    document["income_band"] = row["income_band"]
    if row["occupation"] is not None:
        document["occupation"] = row["occupation"]
    if row["has_household"]:
        document["household"] = {"adults": row["adults"], "children": row["children"]}
    document["updated_at"] = row["updated_at"]
    return document


def nested(levels: int) -> Document:
    """Documents in each other, so many levels of them."""
    document: Document = {"end": True}
    for _ in range(levels - 1):
        document = {"in": document}
    return document


def _spoilt_demographics(document: Document, mess: str) -> Document | RawBSONDocument:
    match mess:
        case "household too deep":
            document["household"] = nested(TOO_DEEP)
        case "household deep":
            document["household"] = nested(DEEP)
        case "household NaN":
            document["household"] = {"adults": float("nan")}
        case "household beyond 2^53":
            document["household"] = {"adults": Int64(BEYOND + 1)}
        case "occupation in Latin-1":
            document["occupation"] = f"{CANARY} {_NOT_UTF8}"
            raw = bson.encode(document)
            return RawBSONDocument(raw.replace(_NOT_UTF8.encode(), b"\xe9\xfc\xff"))
    return document


def _portfolio(row: Row) -> Document:
    positions = [
        {"isin": words.ISINS[(row["first"] + n * 7) % len(words.ISINS)], "units": 5 * n + 1}
        for n in range(row["positions"])
    ]
    cents = row["total_cents"]
    return {
        "_id": row["_id"],
        "customer_no": str(row[OWNER]),
        "risk_profile": row["risk_profile"],
        "total": Decimal128(f"{cents // 100}.{cents % 100:02d}"),
        "positions": positions,
        "updated_at": row["updated_at"],
    }


def _spoilt_portfolio(document: Document, mess: str) -> Document:
    match mess:
        case "total NaN":
            document["total"] = Decimal128("NaN")
        case "total infinite":
            document["total"] = float("inf")
        case "total a text":
            document["total"] = str(document["total"])
        case "positions twice nested":
            document["positions"] = [document["positions"]]
    return document


def _device(row: Row) -> Document:
    return {
        "_id": row["_id"],
        "customer_no": str(row[OWNER]),
        "device_id": row["device_id"],
        "name": row["name"],
        "platform": row["platform"],
        "trusted": row["trusted"],
        "last_seen_at": datetime.fromisoformat(row["last_seen_on"]),
        "updated_at": row["updated_at"],
    }


def _spoilt_device(document: Document, mess: str) -> Document:
    match mess:
        case "device of nobody":
            document["customer_no"] = str(int(document["customer_no"]) + STRANGERS)
        case "last seen in 10000":
            document["last_seen_at"] = DatetimeMS(YEAR_10000_MS)
    return document


def _wish_lists(lists: pl.DataFrame, items: pl.DataFrame) -> Iterator[Document]:
    by_list: Mapping[int, list[Document]] = defaultdict(list)
    for row in items.iter_rows(named=True):
        by_list[row["_list"]].append(_wish(row))
    for row in lists.iter_rows(named=True):
        wanted: Any = by_list.get(row["_id"], [])
        if row[MESS] is not None:
            wanted = f"{CANARY} everything" if row[MESS] == "items are a text" else None
        yield {
            "_id": row["_id"],
            "customer_no": str(row[OWNER]),
            "items": wanted,
            "updated_at": row["updated_at"],
        }


def _wish(row: Row) -> Document:
    """An item; its price comes as whatever the app's versions wrote over the years."""
    cents = row["price_cents"]
    document: Document = {"sku": row["sku"], "title": row["title"], "category": row["category"]}
    match row["price_form"]:
        case 0:
            document["price"] = Decimal128(f"{cents // 100}.{cents % 100:02d}")
        case 1:
            document["price"] = cents / 100
        case 2:
            document["price"] = f"{cents // 100}.{cents % 100:02d}"
        case 3:
            document["price"] = cents // 100
    if row["tags"]:
        document["tags"] = _TAGS[row["tags"]]
    document["added_at"] = datetime.fromisoformat(row["added_on"])
    changed: Mapping[str, Document] = {
        "price NaN": {"price": Decimal128("NaN")},
        "price of 3 digits": {"price": "9.999"},
        "price is a document": {"price": {"EUR": 9}},
        "added in 10000": {"added_at": DatetimeMS(YEAR_10000_MS)},
        "tags are a text": {"tags": "soon"},
    }
    return document | changed.get(row[MESS] or "", {})


_MAKE: Mapping[str, Callable[[Row], Document]] = {
    "preferences": _preferences,
    "contact": _contact,
    "demographics": _demographics,
    "portfolio": _portfolio,
    "devices": _device,
}
_SPOIL: Mapping[str, Callable[[Document, str], Document | RawBSONDocument]] = {
    "preferences": _spoilt_preferences,
    "contact": _spoilt_contact,
    "demographics": _spoilt_demographics,
    "portfolio": _spoilt_portfolio,
    "devices": _spoilt_device,
}
COLLECTIONS = (*_MAKE, "wish_list")
