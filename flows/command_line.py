"""The ``prefetch`` command: thin, over the flows and the store.

Exit codes: 0 success; 1 unexpected; 2 pipeline file, setting or argument; 3 source; 4 Redis;
5 stopped by the guard; 6 Redis differs from the stage after the load; 7 another run has the
bucket; 8 stage; 9 verify found corrupt documents.
"""

from __future__ import annotations

import click

from flows import (
    automation_commands,
    forget_commands,
    index_commands,
    look_commands,
    quarantine_commands,
    run_commands,
    verify_commands,
)
from flows.own_process import leave_nothing


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-prefetch")
def main() -> None:
    """Prefetches unified customer profiles from product-line databases into Redis."""
    leave_nothing()


for command in (
    look_commands.check,
    run_commands.plan,
    run_commands.run,
    run_commands.backfill,
    run_commands.incremental,
    verify_commands.verify,
    quarantine_commands.quarantine,
    forget_commands.forget,
    forget_commands.audit,
    look_commands.status,
    look_commands.show,
    index_commands.index,
    index_commands.search,
    automation_commands.automations,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
