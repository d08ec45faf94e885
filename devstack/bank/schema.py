"""The tables of the SQL product lines, as their databases have them, and their indexes.

Where a real bank would have a primary key, some tables have an index only: real tables lost
their constraints long ago, and the demo bank has rows that break them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table: its columns with their types, and what it is indexed by.

    ``indexes`` are columns, or what stands behind ``ON table`` from the bracket on. ``key`` are the
    columns that tell a row from all others, but for planted messes.
    """

    columns: Mapping[str, str]
    indexes: Sequence[str]
    key: Sequence[str]


_NOT_PLAIN = "email !~ '^[!-~]*$'"
"""With ``lower(email)`` it finds an address however it is written; see connectors."""

CORE: Mapping[str, Table] = {
    "customer": Table(
        {
            "customer_id": "bigint",
            "name": "text",
            "email": "text",
            "phone": "text",
            "birth_date": "date",
            "street": "text",
            "postal_code": "text",
            "city": "text",
            "country": "char(2)",
            "language": "text",
            "segment": "text",
            "status": "text",
            "kyc_level": "smallint",
            "customer_since": "date",
            "updated_at": "timestamptz",
        },
        ("customer_id", "(lower(email))", f"(email) WHERE {_NOT_PLAIN}", "updated_at"),
        ("customer_id",),
    ),
    "login": Table(
        {
            "customer_id": "bigint",
            "password_hash": "text",
            "password_no": "smallint",
            "locked": "boolean",
            "closed": "boolean",
            "failed_attempts": "smallint",
            "last_login_at": "timestamptz",
            "updated_at": "timestamptz",
        },
        ("customer_id", "updated_at"),
        ("customer_id",),
    ),
    "role": Table({"role": "text", "permission": "text"}, ("role",), ("role", "permission")),
    "customer_role": Table(
        {"customer_id": "bigint", "role": "text", "updated_at": "timestamptz"},
        ("customer_id", "updated_at"),
        ("customer_id", "role"),
    ),
    "access": Table(
        {"customer_id": "bigint", "permissions": "text[]", "updated_at": "timestamptz"},
        ("customer_id", "updated_at"),
        ("customer_id",),
    ),
    "feature": Table(
        {"customer_id": "bigint", "flag": "text", "enabled": "text", "updated_at": "timestamptz"},
        ("customer_id", "updated_at"),
        ("customer_id", "flag"),
    ),
    "account": Table(
        {
            "account_no": "text",
            "product": "text",
            "balance": "numeric",
            "currency": "char(3)",
            "interest_rate": "double precision",
            "opened_on": "date",
            "status": "text",
            "updated_at": "timestamptz",
        },
        ("account_no", "updated_at"),
        ("account_no",),
    ),
    "account_holder": Table(
        {"account_no": "text", "customer_id": "bigint", "role": "text"},
        ("account_no", "customer_id"),
        ("account_no", "customer_id", "role"),
    ),
}

CARDS: Mapping[str, Table] = {
    "card_holder": Table(
        {"holder_ref": "text", "customer_id": "bigint", "updated_at": "timestamptz"},
        ("holder_ref", "customer_id", "updated_at"),
        ("holder_ref", "customer_id"),
    ),
    "card": Table(
        {
            "card_id": "text",
            "holder_ref": "text",
            "brand": "text",
            "kind": "text",
            "valid_until": "date",
            "credit_limit": "numeric",
            "status": "text",
            "updated_at": "timestamptz",
        },
        ("card_id", "holder_ref", "updated_at"),
        ("card_id",),
    ),
    "purchase": Table(
        {
            "purchase_id": "bigint",
            "holder_ref": "text",
            "card_id": "text",
            "amount": "numeric",
            "currency": "char(3)",
            "merchant": "text",
            "category": "text",
            "purchased_at": "timestamptz",
            "updated_at": "timestamptz",
        },
        ("purchase_id", "holder_ref", "updated_at"),
        ("purchase_id",),
    ),
}

LENDING: Mapping[str, Table] = {
    "loan": Table(
        {
            "loan_id": "bigint",
            "account_no": "varchar(30)",
            "product": "varchar(20)",
            "principal": "decimal(14,2)",
            "rate": "decimal(5,2)",
            "instalments": "int",
            "granted_on": "date",
            "signed_at": "datetime",
            "note": "varbinary(200)",
            "updated_at": "datetime(6)",
        },
        ("loan_id", "account_no", "updated_at"),
        ("loan_id",),
    ),
    "schedule": Table(
        {
            "loan_id": "bigint",
            "instalment": "int",
            "due_on": "date",
            "amount": "decimal(14,2)",
            "paid_on": "date",
            "updated_at": "datetime(6)",
        },
        ("loan_id", "updated_at"),
        ("loan_id", "instalment"),
    ),
}
"""For MariaDB; SQLite takes the same, and keeps any type anywhere."""


def create_sql(name: str, table: Table) -> str:
    """The statement that makes a table."""
    columns = ", ".join(f"{column} {kind}" for column, kind in table.columns.items())
    return f"CREATE TABLE {name} ({columns})"


def index_sql(name: str, table: Table) -> list[str]:
    """The statements that index it."""
    return [
        f"CREATE INDEX {name}_{number} ON {name} {what if what.startswith('(') else f'({what})'}"
        for number, what in enumerate(table.indexes)
    ]
