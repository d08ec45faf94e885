"""Prefect's client of this process, at a test's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

DRAINED_S = 60.0


@contextmanager
def prefect_at(url: str) -> Iterator[None]:
    """Runs of this process are told to this server, all of them by the end of the block.

    Prefect's senders in the background stay with the server that they met first, and try each of
    their messages ten times when that one has gone.
    """
    with temporary_settings({PREFECT_API_URL: url}):
        try:
            yield
        finally:
            EventsWorker.drain_all(timeout=DRAINED_S)
            APILogWorker.drain_all(timeout=DRAINED_S)
