"""How a flow run ends in the Prefect UI: a run that the guard stopped is Held, not broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.states import Failed

from core.errors import GuardStopped

HELD = "Held"
"""A state of the type FAILED, as it is for a person to judge."""


def ended(carry_out: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a flow has to return: its report, or the state of a run that was stopped.

    Prefect takes a returned state as the run's own, and raises the error in it to who called the
    flow: for him a run that was stopped ends as any other that did not succeed.

    Raises:
        PrefetchError: the run did not succeed for another reason.
    """
    try:
        return carry_out()
    except GuardStopped as stopped:
        held: State[Any] = Failed(name=HELD, message=str(stopped), data=stopped)
        return cast("dict[str, Any]", held)
