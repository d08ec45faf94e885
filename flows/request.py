"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.acceptance import NOTHING, Acceptance
from core.selection import EVERYONE, Selection

Kind = Literal["nightly", "backfill", "incremental", "verify"]


@dataclass(frozen=True)
class Request:
    """One run: of which pipeline file, for whom, and how far.

    ``sample`` is a number of users drawn by chance; ``rewrite`` are users to write whatever their
    digest says. With ``dry_run`` nothing is written; ``diffs`` is of how many users the changed
    fields are told then. ``parent`` is the run that asked for this one.
    """

    kind: Kind
    config: Path
    selection: Selection = EVERYONE
    acceptance: Acceptance = NOTHING
    dry_run: bool = False
    diffs: int = 0
    sample: int | None = None
    rewrite: frozenset[str] = field(default_factory=frozenset)
    parent: str | None = None
