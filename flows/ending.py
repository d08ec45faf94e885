"""How a flow run ends in the Prefect UI: a run that the guard stopped is Held, not broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.states import Failed

from core.errors import GuardStopped, PrefetchError, Unexpected

HELD = "Held"
"""A state of the type FAILED, as it is for a person to judge."""


def ended(carry_out: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a flow has to return: its report, or the state of a run that did not succeed.

    Prefect takes a returned state as the run's own, and raises the error in it to who called the
    flow. An error that is raised it would show with all of its text, which may hold values.

    Raises:
        BaseException: the run was stopped from outside.
    """
    try:
        return carry_out()
    except Exception as error:
        told = error if isinstance(error, PrefetchError) else Unexpected.of(error)
        name = HELD if isinstance(error, GuardStopped) else None
        state: State[Any] = Failed(name=name, message=str(told), data=told)
        return cast("dict[str, Any]", state)
