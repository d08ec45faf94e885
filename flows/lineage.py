"""Lineage: which tables and collections the profiles were made of, as Prefect's assets.

Keys name no host and no database: ``postgresql://core/customer``, ``redis://demo_bank/profile``.
"""

from __future__ import annotations

import re
from typing import Any

from prefect.assets import Asset, AssetProperties, add_asset_metadata
from prefect.cache_policies import NO_CACHE
from prefect.tasks import MaterializingTask

from core.pipeline import Source
from core.plan import DatasetPlan, Plan
from flows.report import Report

_TOOL = "profile-prefetch"
_FIGURES = ("kind", "selection", "epoch", "users", "created", "updated", "removed", "held")
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._-]+")


def tell_lineage(plan: Plan, report: Report) -> None:
    """Tells Prefect that the profiles were made anew, of what, and how many."""
    profiles = _profiles(plan)
    figures = {name: report.as_dict()[name] for name in _FIGURES}
    task: MaterializingTask[[], None] = MaterializingTask(
        fn=lambda: add_asset_metadata(profiles, figures),
        name="lineage",
        task_run_name="tell the lineage of the profiles",
        assets=[profiles],
        asset_deps=[_origin(plan, entry) for entry in plan.datasets.values()],
        materialized_by=_TOOL,
        cache_policy=NO_CACHE,
    )
    task(return_state=True)  # that it can't be told fails no run


def _profiles(plan: Plan) -> Asset:
    profile = plan.pipeline.profile
    return Asset(
        key=f"redis://{profile.name}/profile",
        properties=AssetProperties(
            name=f"{profile.name}: profiles",
            description=f"One unified profile a user, as JSON at {profile.key}.",
        ),
    )


def _origin(plan: Plan, entry: DatasetPlan) -> Asset:
    relation = entry.query.relation
    engine = _engine(plan.pipeline.sources[entry.source])
    key = f"{engine}://{_NOT_IN_KEYS.sub('-', entry.source)}/{_NOT_IN_KEYS.sub('-', relation)}"
    return Asset(key=key, properties=AssetProperties(name=f"{entry.source}.{relation}"))


def _engine(source: Source) -> str:
    """What the source is, by the scheme of its URL, without the driver's name."""
    scheme: Any = source.url.get_secret_value().partition("://")[0]
    return re.sub(r"[^a-z0-9]", "", str(scheme).partition("+")[0].lower()) or "sql"
