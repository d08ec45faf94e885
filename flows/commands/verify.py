"""The command that compares Redis with the sources."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import CONFIG, JSON, exits
from flows.commands.run import in_this_process


@click.command()
@CONFIG
@JSON
@click.option("--sample", type=click.IntRange(min=1), help="Only so many users, by chance.")
@click.option("--repair", is_flag=True, help="Load the users again whose documents differ.")
@exits
def verify(config: Path, as_json: bool, sample: int | None, repair: bool) -> None:
    """Compares Redis with a fresh snapshot of the sources; exits with 9 where it is corrupt."""
    in_this_process("verify", config, as_json, sample=sample, repair=repair)
