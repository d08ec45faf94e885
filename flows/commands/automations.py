"""The command that sets up what Prefect does by itself when a run goes wrong."""

from __future__ import annotations

from pathlib import Path

import click

from core.errors import ConfigError
from flows.commands.options import exits
from flows.commands.run import refuse_silent_server


@click.group()
def automations() -> None:
    """What Prefect does by itself when a run fails, is held, is late or dies."""


@automations.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("automations.yaml"),
    show_default=True,
    help="Where they are declared.",
)
@exits
def apply(file: Path) -> None:
    """Sets up the automations of a file; a second time it changes nothing."""
    # Prefect takes seconds to import.
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    from flows.automations import alerts_block, declared
    from flows.automations import apply as applied

    if not PREFECT_API_URL.value():
        raise ConfigError("PREFECT_API_URL: not set; automations live in a Prefect server")
    refuse_silent_server()
    wanted = declared(file, alerts_block())
    with get_client(sync_client=True) as client:
        for name, what in applied(client, wanted).items():
            click.echo(f"{what:<9}  {name}")
