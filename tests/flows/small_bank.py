"""A bank of a few rows in PostgreSQL, each of them known, for tests that mend or forget them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from devstack import RedisServer, Stack

PIPELINE = """\
profile: {name: small, anchor: core.client, user_id: {type: integer}, buckets: 16}
sources:
  core: {kind: sql, url: "${SMALL_URL}"}
links:
  holder: {dataset: core.holder, from: account_no, to: client_id, cardinality: many}
datasets:
  core.client:
    {user_id: client_id, into: identity, primary_key: client_id, cursor: updated_at,
     fields: {name: {}, pin: {class: secret}}}
  core.holder: {columns: {account_no: string, client_id: integer}}
  core.login:
    {user_id: client_id, into: auth, required: true, primary_key: client_id,
     columns: {locked: boolean}, fields: {locked: {class: public}}}
  core.account:
    {user_id: {link: holder, on: account_no}, into: "accounts[]", primary_key: id,
     order_by: id, columns: {since: date}, fields: [id, since]}
  core.visit:
    {user_id: client_id, into: "visits[]", primary_key: id, order_by: id, fields: [id]}
  core.flag:
    {user_id: client_id, into: "flags[]", primary_key: flag, order_by: flag, value: flag}
guard: {max_quarantined_share: 1}
"""
TABLES = """\
CREATE TABLE client (client_id int, name text, pin text, updated_at timestamptz);
CREATE TABLE holder (account_no text, client_id int);
CREATE TABLE login (client_id int, locked text);
CREATE TABLE account (id int, account_no text, since text);
CREATE TABLE visit (id int, client_id int);
CREATE TABLE flag (client_id int, flag text);
INSERT INTO client SELECT n, 'name of ' || n, 'pin ' || n, now() - interval '1 day' FROM generate_series(1, 40) n;
INSERT INTO login SELECT n, 'false' FROM generate_series(1, 40) n;
INSERT INTO flag SELECT n, 'dark' FROM generate_series(1, 40) n;
INSERT INTO holder SELECT 'A' || n, n FROM generate_series(1, 40) n;
INSERT INTO account SELECT n, 'A' || n, '2020-01-01' FROM generate_series(1, 40) n;
INSERT INTO visit SELECT n, n FROM generate_series(1, 40) n;
"""
MESSES = """\
INSERT INTO account VALUES (101, 'B1', '2020-01-01');
INSERT INTO account VALUES (102, NULL, '2020-01-01');
INSERT INTO account VALUES (103, 'B3', '2020-01-01');
INSERT INTO account VALUES (104, 'A4', '2020-02-31');
INSERT INTO visit VALUES (101, 999);
INSERT INTO flag VALUES (NULL, 'dark');
UPDATE login SET locked = 'perhaps' WHERE client_id = 5;
"""
"""What can't be used: two accounts of nobody, one without a number, one with no day of any
calendar; a stranger's visit, a flag of nobody; and a login that holds user 5."""

FOUND = {
    ("row", "core.account", "no_link", "holder"): 2,
    ("row", "core.account", "no_link_key", "account_no"): 1,
    ("row", "core.account", "not_a_date", "since"): 1,
    ("row", "core.account", "user_held", ""): 1,
    ("row", "core.client", "user_held", ""): 1,
    ("row", "core.flag", "no_user_id", "client_id"): 1,
    ("row", "core.flag", "user_held", ""): 1,
    ("row", "core.login", "not_a_boolean", "locked"): 1,
    ("row", "core.visit", "unknown_user", ""): 1,
    ("row", "core.visit", "user_held", ""): 1,
    ("held", "", "core.login: not_a_boolean", ""): 1,
}
"""What a nightly run must find of it: how many by what, dataset, reason and column."""


class SmallBank:
    """The bank, and the flows run over it."""

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        database: str,
        run: Callable[..., dict[str, Any]],
        target: RedisServer,
    ) -> None:
        self.config, self.folder = folder / "small.yaml", folder
        self.config.write_text(PIPELINE, encoding="utf-8")
        self.target, self._run = target, run
        server = sa.engine.make_url(stack.urls["postgres"]).set(drivername="postgresql+psycopg")
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {database}")
        url = server.set(database=database)
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.lines = {"SMALL_URL": url.render_as_string(hide_password=False)}
        self.sql(TABLES)

    def sql(self, text: str) -> None:
        """Runs statements in the source."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(text)

    def run(
        self, flow: str = "nightly", environ: Mapping[str, str] | None = None, **given: Any
    ) -> dict[str, Any]:
        """Runs a flow; gives its report."""
        return self._run(self.config, {**self.lines, **(environ or {})}, flow, given)

    @property
    def environ(self) -> dict[str, str]:
        """What a ``prefetch`` process needs; the stage is that of the flows."""
        return {
            **self.lines,
            "REDIS_URL": self.target.url,
            "PREFETCH_STAGE_DIR": str(self.folder / "stage"),
        }
