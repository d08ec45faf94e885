"""The ``prefetch`` command: thin, over the flows and the store.

Exit codes: 0 success; 1 unexpected; 2 pipeline file, setting or argument; 3 source; 4 Redis;
5 stopped by the guard; 6 Redis differs from the stage after the load; 7 another run has the
bucket; 8 stage; 9 verify found corrupt documents.
"""

from __future__ import annotations

import click

from flows.commands import automations, forget, index, look, quarantine, run, verify
from flows.own_process import leave_nothing


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-prefetch")
def main() -> None:
    """Prefetches unified customer profiles from product-line databases into Redis."""
    leave_nothing()


for command in (
    look.check,
    run.plan,
    run.run,
    run.backfill,
    run.incremental,
    verify.verify,
    quarantine.quarantine,
    forget.forget,
    forget.audit,
    look.status,
    look.show,
    index.index,
    index.search,
    automations.automations,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
