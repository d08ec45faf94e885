"""Loads the two real data sets into product-line databases, as their README describes them."""

from __future__ import annotations

import csv
from typing import Any

import pymongo
import sqlalchemy as sa
from bson import json_util

from tests.programs import real_data

TABLES: dict[str, dict[str, dict[str, str]]] = {
    "berka": {
        "client": {"client_id": "int primary key", "birth_number": "varchar(6)", "district_id": "int"},
        "disp": {"disp_id": "int primary key", "client_id": "int", "account_id": "int",
                 "type": "varchar(20)"},
        "account": {"account_id": "int primary key", "district_id": "int",
                    "frequency": "varchar(30)", "date": "varchar(6)"},
        "district": {"A1": "int", "A2": "varchar(60)", "A3": "varchar(60)",
                     **{f"A{n}": "varchar(20)" for n in range(4, 17)}},
        "loan": {"loan_id": "int primary key", "account_id": "int", "date": "int",
                 "amount": "decimal(12,0)", "duration": "int", "payments": "decimal(12,2)",
                 "status": "varchar(1)"},
        "order": {"order_id": "int primary key", "account_id": "int", "bank_to": "varchar(4)",
                  "account_to": "int", "amount": "decimal(12,2)", "k_symbol": "varchar(20)"},
    },
    "sample_analytics": {
        "account": {"account_oid": "char(24) primary key", "account_id": "int",
                    "credit_limit": "int"},
        "account_product": {"account_oid": "char(24)", "position": "int",
                            "product": "varchar(40)"},
        "loyalty_tier": {"tier_id": "char(32) primary key", "customer_email": "varchar(120)",
                         "tier": "varchar(20)", "active": "int"},
        "loyalty_benefit": {"tier_id": "char(32)", "benefit": "varchar(80)"},
    },
}  # fmt: skip


def load_sql(name: str, line: str, engine: sa.Engine) -> None:
    """Makes and fills the tables of one SQL product line (``postgres`` or ``mysql``)."""
    quote = engine.dialect.identifier_preparer.quote_identifier
    with engine.begin() as connection:
        for file in sorted((real_data() / name / "split" / line).glob("*.csv")):
            columns = TABLES[name][file.stem]
            body = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
            connection.exec_driver_sql(f"CREATE TABLE {quote(file.stem)} ({body})")
            with file.open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines))
            names = ", ".join(quote(column) for column in columns)
            places = ", ".join(f":{column}" for column in columns)
            statement = sa.text(f"INSERT INTO {quote(file.stem)} ({names}) VALUES ({places})")
            connection.execute(statement, rows)


def load_mongo(name: str, database: pymongo.database.Database[dict[str, Any]]) -> None:
    """Fills the collections of the MongoDB product line."""
    for file in sorted((real_data() / name / "split" / "mongo").glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            documents = [json_util.loads(line) for line in lines]
        database[file.stem].insert_many(documents)
