"""The messes of all product lines: what is planted, and why it ends in quarantine.

The reasons are those that docs/report.md explains. Every share is well below what the guard of a
run lets through (1 % of a dataset's rows), also with what follows from it elsewhere.
"""

from __future__ import annotations

import polars as pl

from devstack.bank.planting import STRANGERS, Mess
from devstack.bank.words import CANARY

BEYOND = 2**53
"""Greater integers are not exact in a double."""

_ID, _STRANGER = pl.col("customer_id"), pl.col("customer_id") + STRANGERS


def _set(
    column: str, value: str | int | None, dtype: type[pl.DataType] = pl.String
) -> dict[str, pl.Expr]:
    return {column: pl.lit(value, dtype)}


def _bytes(column: str, text: str, encoding: str) -> dict[str, pl.Expr]:
    return {column: pl.lit(text.encode(encoding), pl.Binary)}


CUSTOMER = (
    Mess("birth date infinite", "date_out_of_range (birth_date)", _set("birth_date", "infinity")),
    Mess("birth date BC", "date_out_of_range (birth_date)", _set("birth_date", "0044-03-15 BC")),
    Mess("birth year 10000", "date_out_of_range (birth_date)", _set("birth_date", "10000-01-01")),
    Mess("twice the primary key", None, _set("postal_code", "00000"), "copy"),
    Mess("no id", None, _set("customer_id", None, pl.Int64), "copy"),
    Mess("id beyond 2^53", "integer_beyond_2_53 (customer_id)", {"customer_id": _ID + BEYOND},
         "copy"),
)  # fmt: skip
LOGIN = (
    Mess("no login", how="drop"),
    Mess("no hash", None, _set("password_hash", None)),
    Mess("empty hash", "unknown_hash_scheme (password_hash)", _set("password_hash", "")),
    Mess("password in clear", "unknown_hash_scheme (password_hash)",
         _set("password_hash", f"{CANARY}-in-clear")),
    Mess("unknown hash", "unknown_hash_scheme (password_hash)",
         _set("password_hash", "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3")),
    Mess("two logins", None, _set("failed_attempts", 7, pl.Int64), "copy"),
    Mess("login of nobody", None, {"customer_id": _STRANGER}, "copy"),
)  # fmt: skip
ACCESS = (
    Mess("no access row", how="drop"),
    Mess("no permissions", None, _set("permissions", None)),
)
ROLE = (
    Mess("role twice", None, {}, "copy"),
    Mess("role of nobody", None, {"customer_id": _STRANGER}, "copy"),
)
FEATURE = (
    Mess("neither on nor off", "not_a_boolean (enabled)", _set("enabled", "maybe")),
    Mess("flag twice", None, {}, "copy"),
)
ACCOUNT = (
    Mess("balance NaN", "not_finite (balance)", _set("balance", "NaN")),
    Mess("balance of 3 digits", "inexact_decimal (balance)", _set("balance", "1.005")),
    Mess("balance of 40 digits", "decimal_too_long (balance)", _set("balance", "1" * 40)),
    Mess("rate infinite", "not_finite (interest_rate)", _set("interest_rate", "Infinity")),
    Mess("rate NaN", "not_finite (interest_rate)", _set("interest_rate", "NaN")),
    Mess("opened never", "date_out_of_range (opened_on)", _set("opened_on", "-infinity")),
    Mess("padded key", None, {"account_no": pl.col("account_no") + " "}),
    Mess("account twice", None, _set("status", "dormant"), "copy"),
    Mess("account of nobody", None, {"account_no": "0" + pl.col("account_no")}, "copy"),
    Mess("balance of 19 digits", None, _set("balance", "12345678901234567.89")),
)  # fmt: skip
ACCOUNT_OF_LOAN = (
    Mess("balance NaN under a loan", "not_finite (balance)", _set("balance", "NaN")),
)
HOLDER = (
    Mess("held by nobody too", None, {"customer_id": _STRANGER, "role": pl.lit("JOINT")}, "copy"),
    Mess("holder beyond 2^53", "integer_beyond_2_53 (customer_id)", {"customer_id": _ID + BEYOND},
         "copy"),
    Mess("no holder", None, _set("customer_id", None, pl.Int64), "copy"),
)  # fmt: skip
HOLDER_OF_LOAN = (
    Mess("two owners", None, {"customer_id": pl.col("_neighbour")}, "copy"),
    Mess("owner in two roles", None, _set("role", "JOINT"), "copy"),
)
CARD_HOLDER = (
    Mess("reference to two", None, {"customer_id": pl.col("_neighbour")}, "copy"),
    Mess("reference to nobody", None, {"customer_id": _STRANGER}),
    Mess("reference beyond 2^53", "integer_beyond_2_53 (customer_id)",
         {"customer_id": _ID + BEYOND}),
)  # fmt: skip
CARD = (
    Mess("limit NaN", "not_finite (credit_limit)", _set("credit_limit", "NaN")),
    Mess("valid for ever", "date_out_of_range (valid_until)", _set("valid_until", "infinity")),
    Mess("no reference", "no_link_key (holder_ref)", _set("holder_ref", None)),
    Mess("padded reference", None, {"holder_ref": " " + pl.col("holder_ref")}),
    Mess("card twice", None, _set("status", "dormant"), "copy"),
    Mess("unknown reference", None, {"card_id": "X" + pl.col("card_id"),
         "holder_ref": "X" + pl.col("holder_ref")}, "copy"),
)  # fmt: skip
PURCHASE = (
    Mess("amount NaN", "not_finite (amount)", _set("amount", "NaN")),
    Mess("amount infinite", "not_finite (amount)", _set("amount", "-Infinity")),
    Mess("amount of 3 digits", "inexact_decimal (amount)", _set("amount", "9.999")),
    Mess("bought for ever", "timestamp_out_of_range (purchased_at)",
         _set("purchased_at", "infinity")),
    Mess("bought in 10000", "timestamp_out_of_range (purchased_at)",
         _set("purchased_at", "10000-01-01 00:00:00+00")),
    Mess("bought in 44 BC", "timestamp_out_of_range (purchased_at)",
         _set("purchased_at", "0044-03-15 12:00:00+00 BC")),
    Mess("no reference", "no_link_key (holder_ref)", _set("holder_ref", None)),
    Mess("unknown reference", None, _set("holder_ref", "CH-0")),
    Mess("unknown card", None, _set("card_id", "C0")),
    Mess("purchase twice", None, _set("category", "leisure"), "copy"),
)  # fmt: skip
LOAN = (
    Mess("granted never", "date_out_of_range (granted_on)", _set("granted_on", "0000-00-00")),
    Mess("granted 30 February", "not_a_date (granted_on)", _set("granted_on", "2021-02-30")),
    Mess("signed in the hour that came twice", "ambiguous_time (signed_at)",
         _set("signed_at", "2024-04-07 02:30:00")),
    Mess("signed in the hour that never was", "ambiguous_time (signed_at)",
         _set("signed_at", "2024-09-29 02:30:00")),
    Mess("note in Latin-1", "unreadable (note)", _bytes("note", f"{CANARY} Zürich", "latin-1")),
    Mess("note with NUL", "nul_character (note)", _bytes("note", f"{CANARY}\x00", "ascii")),
    Mess("loan of no account", None, {"account_no": "0" + pl.col("account_no")}),
    Mess("id beyond 2^53", "integer_beyond_2_53 (loan_id)",
         {"loan_id": pl.col("loan_id") + BEYOND}),
)  # fmt: skip
SCHEDULE = (
    Mess("due never", "date_out_of_range (due_on)", _set("due_on", "0000-00-00")),
    Mess("instalment twice", None, {}, "copy"),
    Mess("instalment of no loan", None, {"loan_id": pl.col("loan_id") + 55}),
)
PREFERENCES = (
    Mess("no e-mail", "no_link_key (email)"),
    Mess("e-mail is a document", "unreadable (email)"),
    Mess("e-mail of nobody"),
    Mess("push is a word", "unreadable (push)"),
    Mess("theme is a number"),
)
"""MongoDB's are told by their kind only: ``documents`` makes them."""

CONTACT = (
    Mess("number padded with zeros", "not_an_integer (customer_no)"),
    Mess("number blank", "user_id_empty (customer_no)"),
    Mess("number a double", "not_an_integer (customer_no)"),
    Mess("no number", "no_user_id (customer_no)"),
    Mess("number with a command", "not_an_integer (customer_no)"),
    Mess("number beyond 2^53", "integer_beyond_2_53 (customer_no)"),
    Mess("number an integer"),
    Mess("number padded with blanks"),
)
WISH_LIST = (
    Mess("items are a text", "unreadable (sku)"),
    Mess("items are null"),
)
WISH_ITEM = (
    Mess("price NaN", "not_finite (price)"),
    Mess("price of 3 digits", "inexact_decimal (price)"),
    Mess("price is a document", "unreadable (price)"),
    Mess("added in 10000", "timestamp_out_of_range (added_at)"),
    Mess("tags are a text", "not_an_array (tags)"),
    Mess("item twice", None, {}, "copy"),
)
DEVICE = (
    Mess("device twice", None, {"_id": -pl.col("_id")}, "copy"),
    Mess("device of nobody"),
    Mess("last seen in 10000", "timestamp_out_of_range (last_seen_at)"),
)
DEMOGRAPHICS = (
    Mess("household too deep", "too_deep (household)"),
    Mess("household NaN", "unreadable (household)"),
    Mess("household beyond 2^53", "integer_beyond_2_53 (household)"),
    Mess("occupation in Latin-1", "unreadable (occupation)"),
    Mess("two documents", None, {"_id": -pl.col("_id")}, "copy"),
    Mess("household deep"),
)
PORTFOLIO = (
    Mess("total NaN", "not_finite (total)"),
    Mess("total infinite", "not_finite (total)"),
    Mess("total a text"),
    Mess("positions twice nested"),
)
