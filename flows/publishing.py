"""Publish: a run's report, kept in Redis and shown in the Prefect UI."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from core.errors import PrefetchError
from core.settings import Settings
from flows.report import Report
from flows.report_page import artifact_key, page
from store.client import Timeouts, client_of
from store.runs import append


def publish(report: Report, settings: Settings) -> None:
    """Keeps the report of a run and shows it; failing at that fails nothing else."""
    try:
        create_markdown_artifact(
            key=artifact_key(report.profile, report.request.kind),
            markdown=page(report.as_dict()),
            description=report.headline,
        )
    except Exception as error:  # whatever Prefect's API has
        get_run_logger().warning("the report could not be shown: %s", type(error).__name__)
    if report.request.dry_run:
        return
    try:
        timeouts = Timeouts(answer_s=settings.redis_timeout_s)
        with client_of(settings.redis_url.get_secret_value(), timeouts) as client:
            append(client, report.profile, report.as_dict(), settings.runs_kept)
    except PrefetchError as error:
        get_run_logger().warning("the report could not be kept: %s", error)
