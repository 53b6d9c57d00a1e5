"""The only place where everything meets: assets, jobs, schedules and resources become `Definitions`.

Belongs here: assembly. `build_definitions(resources=…)` serves the tests too. Does not belong here:
anything assembled. Needs no network, no database and no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetSpec, Definitions

from assets import all_assets
from jobs.fleet import fleet_jobs
from jobs.outbox import outbox_job
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource
from resources.vendor_clients import VendorsResource
from sensors.outbox import outbox_sensor
from sensors.schedules import fleet_schedules

# Tables of the platform itself that models read; the platform writes them, no asset makes them.
_OPERATIONS = {
    "company": "The company and the clock the warehouse is built for.",
    "connections": "Which vendors have credentials.",
    "cursors": "Up to when each raw table is complete.",
    "sync_runs": "The receipt of every sync.",
    "thresholds": "The rules of fleet.yaml as data.",
    "tie_outs": "What vendors say they hold against what landed.",
    "quarantine": "Records that could not be landed, whole, with the reason.",
}


def default_resources() -> dict[str, Any]:
    """The resources of the running platform, from settings."""
    import os

    from dagster_dbt import DbtCliResource

    from ops_platform.warehouse.dbt import DBT_PROJECT, dbt_executable

    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    return {
        "warehouse": WarehouseResource(),
        "vendors": VendorsResource(),
        "dbt": DbtCliResource(
            project_dir=os.fspath(DBT_PROJECT), profiles_dir=os.fspath(DBT_PROJECT), dbt_executable=dbt_executable()
        ),
    }


def build_definitions(resources: Mapping[str, Any] | None = None) -> Definitions:
    """Everything the platform declares. `resources` override the defaults by name."""
    fleet = get_fleet()
    jobs = fleet_jobs(fleet)
    operations = [
        AssetSpec(
            key=["ops", table], description=description, group_name="operations", owners=["team:coordinator"],
            kinds={"postgres"},
        )
        for table, description in _OPERATIONS.items()
    ]  # fmt: skip
    return Definitions(
        assets=[*all_assets(), *operations],
        jobs=[*jobs, outbox_job()],
        schedules=fleet_schedules(fleet, jobs, get_settings().ops_env),
        sensors=[outbox_sensor(get_settings().ops_env)],
        resources={**default_resources(), **(resources or {})},
    )
