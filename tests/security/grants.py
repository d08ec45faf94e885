"""The files of deploy/grants as tests apply them: as they stand there, with passwords set after."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pymongo
import redis
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
GRANTS = ROOT / "deploy" / "grants"
PASSWORD = "granted"


def redis_users() -> dict[str, list[str]]:
    """The rules of each user in redis.acl."""
    lines = (GRANTS / "redis.acl").read_text(encoding="utf-8").splitlines()
    words = [line.split(maxsplit=2) for line in lines]
    assert all(word == "user" for word, _, _ in words)
    return {name: re.findall(r"\([^)]*\)|\S+", rules) for _, name, rules in words}


def apply_redis(url: str) -> None:
    """Makes the users, each with the password of these tests."""
    with redis.Redis.from_url(url) as client:
        for name, rules in redis_users().items():
            client.execute_command("ACL", "SETUSER", name, *rules)
            client.execute_command("ACL", "SETUSER", name, "on", f">{PASSWORD}")


def as_user(url: str, name: str) -> str:
    """The URL, for another user of the same server."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD}@{place}"))


def apply_postgres(url: str, psql: Path, prefix: str) -> None:
    """Makes the role in the server of a URL, and gives it a password."""
    text = (GRANTS / "postgres.sql").read_text(encoding="utf-8").replace("demo_", f"{prefix}_")
    text += f"\nALTER ROLE prefetch_reader PASSWORD '{PASSWORD}';\n"
    subprocess.run([psql, "-X", "-q", url], input=text, text=True, check=True, capture_output=True)


def apply_mariadb(engine: sa.Engine, prefix: str) -> None:
    """Makes the user, and gives it a password."""
    text = (GRANTS / "mysql.sql").read_text(encoding="utf-8").replace("demo_", f"{prefix}_")
    statements = [each.strip() for each in re.sub(r"^--.*$", "", text, flags=re.M).split(";")]
    unlocked = f"ALTER USER prefetch_reader IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK"
    with engine.begin() as connection:
        for statement in filter(None, [*statements, unlocked]):
            connection.exec_driver_sql(statement)


def apply_mongodb(client: pymongo.MongoClient[dict[str, Any]], node: str, prefix: str) -> None:
    """Makes the user; the file is run by node, as there may be no mongosh, and asks us."""
    text = (GRANTS / "mongodb.js").read_text(encoding="utf-8").replace("demo_", f"{prefix}_")
    shell = f"""
    const asked = [], passwordPrompt = () => "{PASSWORD}";
    const db = {{getSiblingDB: name => ({{runCommand: given => asked.push([name, given])}})}};
    {text}
    process.stdout.write(JSON.stringify(asked));
    """
    done = subprocess.run([node, "-e", shell], check=True, capture_output=True, text=True)
    for database, command in json.loads(done.stdout):
        client[database].command(command)


def granted_columns() -> dict[str, set[str]]:
    """By table, the columns that postgres.sql grants."""
    text = (GRANTS / "postgres.sql").read_text(encoding="utf-8")
    found = re.findall(r"^GRANT SELECT \(([^)]*)\) ON (\w+) TO", text, re.M)
    return {table: set(columns.split(", ")) for columns, table in found}


def granted_tables() -> set[str]:
    """The tables that mysql.sql grants."""
    text = (GRANTS / "mysql.sql").read_text(encoding="utf-8")
    return set(re.findall(r"^GRANT SELECT ON \w+\.(\w+) TO", text, re.M))


def granted_collections() -> set[str]:
    """The collections that mongodb.js names."""
    text = (GRANTS / "mongodb.js").read_text(encoding="utf-8")
    return set(re.findall(r'^  "(\w+)",$', text, re.M))
