"""What KEEP=1 leaves: the servers, deployments with a worker, and a word on how to go on."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from devstack.demo.failure import DemoFailed
from devstack.demo.ground import FOLDER, Urls
from devstack.demo.runs import CONFIG, script
from devstack.demo.screen import Screen
from devstack.detached import status
from devstack.errors import log_tail
from devstack.folders import PROJECT, write_private
from devstack.process import Program, spawn_detached
from devstack.proctree import ProcessId
from devstack.state import State

POOL = "profiles"
ENVIRONMENT = "demo.env"
COMMAND_SECONDS = 120.0


def keep_up(screen: Screen, urls: Urls, environ: Mapping[str, str]) -> None:
    """Deploys the flows, starts a worker, and tells where everything is.

    Raises:
        DemoFailed: Prefect refuses.
    """
    screen.title("KEEP=1: everything stays up")
    logs = FOLDER / "logs"
    with screen.step("deploying the flows of prefect.yaml and starting a worker"):
        deploy(environ, logs / "deploy.log")
        _start_worker(environ, logs / "worker.log")
    path = FOLDER / ENVIRONMENT
    lines = [f"export {name}='{value}'" for name, value in environ.items() if name not in _OURS]
    write_private(path, "\n".join([*lines, ""]))
    for name, url in urls.items():
        screen.line(f"  {name:<9} {url.removesuffix('/api')}")
    here = path.relative_to(PROJECT)
    screen.line("Open Prefect's UI in a browser: its runs, reports, events and deployments.")
    screen.line("Then try, in this folder:")
    for command in (
        f". .venv/bin/activate && . {here}",
        f"export PREFETCH_CONFIG={CONFIG}",
        "prefetch status",
        "prefetch plan --show-diffs",
        "prefetch show 10000007",
        "prefetch backfill --user 10000007",
        "prefect deployment run nightly/nightly --watch",
        "make app            # an example of an app on these profiles",
        "make demo-down      # ends all of it and removes the data",
    ):
        screen.line(f"  {command}", "bold")


_OURS = ("PATH", "LANG", "HOME", "PYTHONUNBUFFERED", "TMPDIR")


def deploy(environ: Mapping[str, str], log: Path) -> None:
    """Makes the work pool and the deployments of prefect.yaml.

    Raises:
        DemoFailed: Prefect refuses.
    """
    for arguments in (
        ("work-pool", "create", "--type", "process", POOL),
        ("--no-prompt", "deploy", "--all"),
    ):
        with log.open("ab") as output:
            done = subprocess.run(
                [script("prefect"), *arguments],
                env=dict(environ),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=COMMAND_SECONDS,
            )
        if done.returncode:
            raise DemoFailed(f"`prefect {' '.join(arguments)}` failed:\n{log_tail(log)}")


def _start_worker(environ: Mapping[str, str], log: Path) -> None:
    """Starts a worker that `demo down` ends, as it is in the state of the servers."""
    state = status(FOLDER)
    assert state is not None

    def record(process: ProcessId, state: State = state) -> None:
        state.processes["worker"] = process
        state.save(FOLDER)

    command = [str(script("prefect")), "worker", "start", "--pool", POOL]
    spawn_detached(Program(command, environ, PROJECT, log), record)
