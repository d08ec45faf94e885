"""MariaDB's and MySQL's session: its limits, its snapshot, and how old a replica's data are."""

from __future__ import annotations

import math

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from core.pipeline import Source

IDLE_S = 24 * 3600
"""How long the server lets a reader be that is slow, or reads another source first."""

_UNKNOWN_STATEMENT = 1064

_NO_TRANSACTIONS = """
SELECT count(*) FROM information_schema.tables AS t
JOIN information_schema.engines AS e ON e.engine = t.engine
WHERE t.table_schema = coalesce(%s, database()) AND t.table_name = %s AND e.transactions <> 'YES'
"""


def opening(limits: Source, *, is_mariadb: bool) -> list[str]:
    """The statements that set the limits and open the snapshot."""
    limit_s = limits.statement_timeout_s
    if is_mariadb:
        own = [
            f"max_statement_time = {limit_s:g}",
            "idle_transaction_timeout = 0",
            "idle_readonly_transaction_timeout = 0",
        ]
    else:
        own = [f"max_execution_time = {int(limit_s * 1000)}"]
    settings = [
        "time_zone = '+00:00'",
        f"net_write_timeout = {IDLE_S}",
        f"wait_timeout = {IDLE_S}",
        f"lock_wait_timeout = {math.ceil(limits.lock_timeout_s)}",
        *own,
    ]
    return [
        *(f"SET SESSION {setting}" for setting in settings),
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ]


def behind_s(connection: Connection, *, is_mariadb: bool) -> float | None:
    """Seconds that a replica is behind: 0 for a primary, None where it has stopped to follow.

    Telling needs the grant REPLICA MONITOR (MySQL: REPLICATION CLIENT); without it the answer
    is 0, too.
    """
    asks = (
        ["SHOW ALL SLAVES STATUS"] if is_mariadb else ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]
    )
    for ask in asks:
        try:
            channels = connection.exec_driver_sql(ask).mappings().all()
        except DBAPIError as error:
            number = error.orig.args[0] if error.orig and error.orig.args else None
            if error.connection_invalidated:
                raise
            if number == _UNKNOWN_STATEMENT:
                continue
            return 0.0  # no grant, or a database that replicates otherwise
        told = [
            channel.get("Seconds_Behind_Source", channel.get("Seconds_Behind_Master"))
            for channel in channels
        ]
        if None in told:
            return None
        return max(map(float, told), default=0.0)
    return 0.0


def has_snapshots(connection: Connection, schema: str | None, table: str) -> bool:
    """Whether a table's engine has transactions; MyISAM's and Aria's have none."""
    found = connection.exec_driver_sql(_NO_TRANSACTIONS, (schema, table)).scalar_one()
    return int(found) == 0
