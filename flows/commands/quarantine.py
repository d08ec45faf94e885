"""The commands that look into quarantines and replay them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from core.acceptance import Acceptance
from core.selection import Selection
from core.settings import Settings, load_settings
from flows import opening
from flows.auditing import record, this_user
from flows.commands.options import BY, CONFIG, JSON, acceptance_options, exits
from flows.commands.run import in_this_process
from flows.commands.tables import print_table
from flows.quarantine_files import file_of, folder_of, hashed
from flows.run_context import hash_key
from stage.quarantine_file import QuarantineFile, QuarantineFolder
from store.keys import Keys

_RUN = click.option("--run", "wanted", help="A run, or how its name begins; default: the last.")


@click.group()
def quarantine() -> None:
    """Rows that could not be used: which they are, and another try."""


@quarantine.command("list")
@CONFIG
@JSON
@exits
def list_(config: Path, as_json: bool) -> None:
    """Tells of each run how many rows it could not use, and why."""
    settings, keys = _settings_of(config)
    files = folder_of(settings).files(keys.name)
    if as_json:
        click.echo(json.dumps([_told(file) for file in files]))
        return
    if not files:
        click.echo("nothing is in quarantine")
    for file in files:
        title = (
            f"{file.run[:8]}  {file.kind} of {file.written:%Y-%m-%d %H:%M} ({file.selection}), "
            f"expires {file.expires:%Y-%m-%d %H:%M}"
        )
        head = ("what", "dataset", "reason", "column", "rows", "keys kept")
        rows = [(g.what, g.dataset, g.reason, g.column, g.rows, g.kept) for g in file.groups]
        print_table(title, head, rows)


@quarantine.command()
@CONFIG
@_RUN
@click.option("--unmask", is_flag=True, help="Show the users and keys themselves.")
@BY
@JSON
@exits
def show(config: Path, wanted: str | None, unmask: bool, by: str | None, as_json: bool) -> None:
    """Tells which rows a run could not use, by keyed hash."""
    settings, keys = _settings_of(config)
    folder = folder_of(settings)
    file = file_of(folder, keys.name, wanted)
    if unmask:
        what, who = "quarantine show --unmask", by or this_user()
        click.echo(record(settings, keys, what, who, run=file.run, rows=file.kept), err=True)
    rows = list(_rows(folder, file, hash_key(settings, keys), unmask))
    if as_json:
        click.echo(json.dumps({**_told(file), "shown": rows}, ensure_ascii=False))
        return
    head = tuple(rows[0]) if rows else ()
    print_table(f"{file.run[:8]}", head, [tuple(map(_cell, row.values())) for row in rows])
    cut = file.rows - file.kept
    click.echo(f"{file.rows} in all" + (f", of {cut} the keys are not kept" if cut else ""))


@quarantine.command()
@CONFIG
@_RUN
@JSON
@exits
@acceptance_options
def replay(config: Path, wanted: str | None, as_json: bool, accept: Acceptance) -> None:
    """Reads the users of these rows again, once the rows are mended in their source."""
    settings, keys = _settings_of(config)
    file = file_of(folder_of(settings), keys.name, wanted)
    selection = Selection(quarantine=file.run)
    in_this_process("backfill", config, as_json, select=selection, accept=accept)


def _settings_of(config: Path) -> tuple[Settings, Keys]:
    plan, _ = opening.load_plan(config)
    return load_settings(), Keys(plan.pipeline.profile)


def _told(file: QuarantineFile) -> dict[str, Any]:
    return {
        **asdict(file),
        "written": file.written.isoformat(timespec="seconds"),
        "expires": file.expires.isoformat(timespec="seconds"),
        "rows": file.rows,
        "kept": file.kept,
    }


def _rows(
    folder: QuarantineFolder, file: QuarantineFile, key: bytes, unmask: bool
) -> Iterator[dict[str, Any]]:
    for row in folder.rows(file):
        group = file.groups[row.group]
        told = {name: getattr(group, name) for name in ("what", "dataset", "reason", "column")}
        told["hash"] = hashed(key, row)
        if unmask:
            told |= {"user": row.user_id, "keys": dict(row.keys)}
        yield told


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in value.items() if text is not None)
    return "" if value is None else str(value)
