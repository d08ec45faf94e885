"""``prefetch status``: how fresh the profiles are now, and what waits for a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_bank import MESSES, SmallBank

from core.errors import GuardStopped
from core.selection import Selection
from devstack import RedisServer, Stack
from flows.command_line import main

BLIND = [
    "rows deleted in a source",
    "the former user of a link that moved",
    "changes in datasets without a cursor: core.account, core.flag, core.holder, core.login, "
    "core.visit",
]


@pytest.fixture
def bank(
    stack: Stack, tmp_path: Path, run: Callable[..., dict[str, Any]], target: RedisServer
) -> SmallBank:
    return SmallBank(stack, tmp_path, "status", run, target)


def _status(bank: SmallBank, *more: str) -> str:
    command = ["status", "--config", str(bank.config), *more]
    ended = CliRunner().invoke(main, command, env=bank.environ)
    assert ended.exit_code == 0, ended.output
    return ended.output


def _now(bank: SmallBank) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_status(bank, "--json"))["now"]
    return told


def test_how_it_stands(bank: SmallBank) -> None:
    bank.sql(MESSES)
    with pytest.raises(GuardStopped):
        bank.sql("CREATE TABLE kept AS SELECT * FROM client; TRUNCATE client")
        bank.run()
    now = _now(bank)
    assert now["sources"] == {"core": {"seen": None, "age_s": None}}
    assert (now["complete"], now["held"]) == (None, None)
    [stopped] = now["guard"]
    assert stopped["kind"] == "nightly"
    assert stopped["findings"] == [
        "source core: core.client has 0 rows, fewer than its min_rows 1: missing is not empty"
    ]
    lines = _status(bank).splitlines()
    assert "no complete run is kept" in lines
    assert f"the guard holds the nightly run of {stopped['started']}:" in lines
    assert lines[[line.strip() for line in lines].index("Now") + 2].split() == [
        "core",
        "never",
        "–",
    ]

    bank.sql("INSERT INTO client SELECT * FROM kept")
    first = bank.run()
    named = bank.run("backfill", select=Selection(users=("7",)))
    now = _now(bank)
    told = json.loads(_status(bank, "--json"))
    assert (told["run"], told["kind"]) == (named["run"], "backfill")
    assert now["guard"] == []
    assert now["held"] == first["held"] == 1
    assert now["complete"].items() >= {"run": first["run"], "epoch": first["epoch"]}.items()
    assert now["unseen"] == BLIND
    seen = now["sources"]["core"]
    assert seen["seen"] == first["sources"]["core"]["as_of"]
    age = datetime.now(UTC) - datetime.fromisoformat(seen["seen"])
    rounded = timedelta(seconds=0.05)
    assert -rounded <= age - timedelta(seconds=seen["age_s"]) < timedelta(seconds=60)

    changed = bank.run("incremental")
    assert _now(bank)["sources"]["core"]["seen"] == changed["sources"]["core"]["as_of"]
    lines = _status(bank).splitlines()
    assert lines[0].startswith("small: success in ")
    assert [line for line in lines if "incremental" in line] == [
        f"not seen by incremental runs: {text}" for text in BLIND
    ]
    [complete] = [line for line in lines if line.startswith("last complete run: ")]
    assert complete.endswith(f"epoch {first['epoch']}; users held: 1")
