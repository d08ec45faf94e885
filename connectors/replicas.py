"""Replicas: how far behind its primary one may be that is read."""

from __future__ import annotations

from core.errors import SourceUnavailable
from core.pipeline import Source


def bound_lag(source: str, limits: Source, behind_s: float | None) -> None:
    """Refuses a replica that is too far behind: what it has is not what is true.

    Args:
        behind_s: seconds; None where it does not know, as it follows nobody at the moment.

    Raises:
        SourceUnavailable: it may catch up.
    """
    if behind_s is None or behind_s == float("inf"):
        raise SourceUnavailable(
            source, "the replica does not follow its primary: its lag is unknown"
        )
    if behind_s > limits.max_lag_s:
        told = f"the replica is {behind_s:.0f} s behind its primary, max_lag_s is"
        raise SourceUnavailable(source, f"{told} {limits.max_lag_s:g}")
