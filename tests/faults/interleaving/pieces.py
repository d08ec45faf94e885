"""What a schedule is made of: writers and what they wait for, and what a choice would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.faults.interleaving.channels import Channel, Command, Step
from tests.faults.interleaving.rules import Content, Told

if TYPE_CHECKING:
    from tests.faults.interleaving.world import World

CLOCK = "clock"
SOURCES = b"the sources"


class Stop(BaseException):
    """Ends a writer whose schedule is not followed further."""


@dataclass(eq=False)
class Look:
    """A step that is not the server's: a writer looks at the sources."""

    told: str = "opens its snapshots"
    writes: bool = False
    keys: frozenset[bytes] = frozenset({SOURCES})
    about_all: bool = False


Work = Callable[["World", Told], None]


@dataclass(frozen=True)
class Scenario:
    """Some writers and what Redis holds before.

    ``expiries``, ``cuts`` and ``moves`` are how often, at any moment: a sign of life or a lock
    runs out though its holder works; a writer waits no longer for a reply to a write, or for one that comes
    behind it, while its bytes still arrive; the sources move on to the next version.
    """

    name: str
    writers: tuple[tuple[str, int, int, Work], ...]
    """Name, epoch (-1: drawn), version (-1: as seen), code."""
    initial: int
    before: Content
    redis: tuple[Command, ...] = ()
    """What else Redis holds."""
    constant: frozenset[bytes] = frozenset()
    """Keys that no writer changes: reading them commutes with everything."""
    expiries: int = 0
    cuts: int = 0
    moves: int = 0


@dataclass(eq=False)
class Actor:
    """One writer."""

    told: Told
    let: Any = None
    waiting: Step | Look | None = None
    sleeping: bool = False
    woken: bool = True
    seen: int = 0
    """How many changes there were when it began to poll."""
    history: bytes = b""
    before_polling: bytes = b""
    channels: list[Channel] = field(default_factory=list)
    tokens: int = 0
    error: str = ""


@dataclass(eq=False)
class Late:
    """Bytes that their writer has given up, and that the server gets later."""

    by: str
    step: Step


class Effect(NamedTuple):
    """What a choice would do, as far as it matters to others."""

    by: str
    writes: bool
    keys: frozenset[bytes]
    about_all: bool = False
    is_cut: bool = False

    def commutes(self, other: Effect) -> bool:
        """Whether the order of the two makes no difference to anybody."""
        if self.by == other.by or (self.is_cut and other.is_cut):
            return False
        if self.writes or other.writes:
            if (self.writes and other.writes) or self.about_all or other.about_all:
                return False
            return not self.keys & other.keys
        return True
