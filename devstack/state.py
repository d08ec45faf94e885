"""What `up` has started, written down so that `down` ends exactly that."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devstack.errors import DevstackError
from devstack.folders import write_private
from devstack.proctree import ProcessId, is_alive

FILE = "state.json"
VERSION = 1


@dataclass
class State:
    """The servers of one folder.

    Addresses that came from the environment are not kept: they may hold passwords.

    Attributes:
        ready: all have started; False is an `up` that was cut.
        processes: by service name.
        urls: of the servers started, by service name.
        external: services that a URL in the environment replaced.
        skipped: services that are not installed, with the reason.
    """

    ready: bool = False
    processes: dict[str, ProcessId] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    external: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def dead(self) -> list[str]:
        """The services whose process is gone."""
        return [name for name, process in self.processes.items() if not is_alive(process)]

    def save(self, folder: Path) -> None:
        """Write the state into the folder, for this user only."""
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=2)
        write_private(folder / FILE, text + "\n")


def load_state(folder: Path) -> State | None:
    """The folder's state, or None where nothing was started.

    Raises:
        DevstackError: the file is not ours or not whole.
    """
    path = folder / FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("version") != VERSION:
            raise ValueError
        processes = fields.pop("processes")
        found = {name: ProcessId(**process) for name, process in processes.items()}
        return State(processes=found, **fields)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DevstackError(
            f"{path} can't be read: end the servers by hand, then remove the file"
        ) from None
