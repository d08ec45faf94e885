"""What is measured: the questions' rates, and the loads that go on meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.read.first import can_be_first
from benchmarks.read.questions import LOOK_UPS

REDIS, PEERS = "redis", ("postgresql", "mongodb")
SUBJECTS = (REDIS, *PEERS)
LOADING = "loading"
Rates = dict[str, float]


@dataclass(frozen=True)
class Load:
    """A load, whom to ask meanwhile, and what that is called.

    Attributes:
        sched_idle: whether its process takes only what all others leave (``SCHED_IDLE``).
        first: whether the app and its Redis go before all others.
        rates: of each look-up per second, one after the other, without searches; none for the
            plan's ``busy``.
    """

    subjects: tuple[str, ...]
    state: str
    sched_idle: bool = False
    first: bool = False
    rates: tuple[float, ...] = ()


RATES = (100.0, 250.0, 500.0, 1000.0)
IDLE, FIRST = "loading_idle", "loading_first"
LOADS = (
    Load((REDIS,), LOADING),
    Load(PEERS, LOADING),
    Load((REDIS,), LOADING, rates=RATES),
    Load((REDIS,), IDLE, sched_idle=True),
    Load((REDIS,), IDLE, sched_idle=True, rates=RATES),
    *([Load((REDIS,), FIRST, first=True)] if can_be_first() else []),
    *([Load((REDIS,), FIRST, first=True, rates=RATES)] if can_be_first() else []),
)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rate: look-ups per second of each kind; an app's three are asked at once.
        busy_rate: likewise while something else goes on. Four connections that wait for a CPU
            carry less, and what is measured then is their queue.
        searches: per second; asked by themselves, and beside the look-ups.
        connections: of all these, and of the way to the highest rate.
        sweep: numbers of connections that a profile by id is asked over, at twice the rate.
        seconds: of each idle measurement; the others last as long as what goes on meanwhile.
        step_s: of one rate on the way to the highest one.
        steps: at most so many on that way, each half as much again.
        turn_s: of one job while something goes on.
        loads: carried out one after the other.
    """

    rate: float = 300.0
    busy_rate: float = 50.0
    searches: float = 100.0
    connections: int = 4
    sweep: tuple[int, ...] = (1, 4, 16, 64)
    seconds: float = 15.0
    step_s: float = 1.5
    steps: int = 12
    turn_s: float = 2.0
    loads: tuple[Load, ...] = LOADS

    @property
    def idle(self) -> tuple[Rates, ...]:
        """What is asked at once, one after the other, while nothing goes on."""
        return (dict.fromkeys(LOOK_UPS, self.rate), {"search": self.searches})

    @property
    def busy(self) -> tuple[Rates, ...]:
        """Likewise while something goes on."""
        return (dict.fromkeys(LOOK_UPS, self.busy_rate), {"search": self.busy_rate})

    @property
    def everything(self) -> Rates:
        """The look-ups beside searches."""
        return {**self.idle[0], "search": self.searches}
