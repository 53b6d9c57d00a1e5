"""The only place where everything meets: assets, jobs, schedules and resources become `Definitions`.

Belongs here: assembly. `build_definitions(resources=…)` serves the tests too. Does not belong here:
anything assembled. Needs no network, no database and no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetSpec, Definitions

from assets import all_assets
from jobs.alerts import ALERTS_JOB, alerts_job
from jobs.approvals import approvals_job
from jobs.fleet import fleet_jobs
from jobs.outbox import outbox_job
from jobs.retention import retention_job
from jobs.toolbox import house
from jobs.work_orders import work_order_job
from ops_platform.fleet import get_fleet
from ops_platform.playbooks.catalogue import catalogue
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource
from resources.vendor_clients import VendorsResource
from sensors.approvals import approvals_sensor
from sensors.components import playbook_definitions
from sensors.events import events_sensor
from sensors.failures import failures_sensor
from sensors.freshness import freshness_sensor, watched_assets
from sensors.outbox import outbox_sensor
from sensors.retention import retention_schedule
from sensors.schedules import fleet_schedules
from sensors.work_orders import work_orders_sensor

# Tables of the platform itself that models read; the platform writes them, no asset makes them.
_OPERATIONS = {
    "company": "The company and the clock the warehouse is built for.",
    "connections": "Which vendors have credentials.",
    "cursors": "Up to when each raw table is complete.",
    "sync_runs": "The receipt of every sync.",
    "thresholds": "The rules of fleet.yaml as data.",
    "tie_outs": "What vendors say they hold against what landed.",
    "quarantine": "Records that could not be landed, whole, with the reason.",
    "work_orders": "Rounds of work on GitHub issues, as they stand.",
    "work_attempts": "Each attempt at a work order.",
    "work_agents": "The agents of the roster and their places.",
    "work_decisions": "What was decided about work orders, and why.",
    "work_assessments": "What the policy's rules said of texts.",
    "work_violations": "Rules of the policy that texts broke.",
}


def default_resources() -> dict[str, Any]:
    """The resources of the running platform, from settings."""
    import os

    from ops_platform.warehouse.dbt import DBT_PROJECT, dbt_process
    from resources.dbt import WarehouseDbt

    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    return {
        "warehouse": WarehouseResource(),
        "vendors": VendorsResource(),
        "dbt": WarehouseDbt(
            project_dir=os.fspath(DBT_PROJECT), profiles_dir=os.fspath(DBT_PROJECT), dbt_executable=dbt_process()
        ),
    }


def build_definitions(resources: Mapping[str, Any] | None = None) -> Definitions:
    """Everything the platform declares. `resources` override the defaults by name."""
    fleet, environment = get_fleet(), get_settings().ops_env
    jobs, made, work_orders = fleet_jobs(fleet), all_assets(), work_order_job()
    operations = [
        AssetSpec(
            key=["ops", table], description=description, group_name="operations", owners=["team:coordinator"],
            kinds={"postgres"},
        )
        for table, description in _OPERATIONS.items()
    ]  # fmt: skip
    everything = Definitions(
        assets=[*made, *operations],
        jobs=[*jobs, alerts_job(), approvals_job(), outbox_job(), retention_job(), work_orders],
        schedules=[
            *fleet_schedules(fleet, jobs, environment),
            retention_schedule(fleet.company.timezone, environment),
        ],
        sensors=[
            *events_sensor(fleet, jobs, environment),
            outbox_sensor(environment),
            approvals_sensor(environment),
            failures_sensor(environment, ALERTS_JOB),
            freshness_sensor(environment, watched_assets(made), ALERTS_JOB),
            work_orders_sensor(work_orders, environment),
        ],
        resources={**default_resources(), **(resources or {})},
    )
    playbooks = playbook_definitions(catalogue(house()), house, fleet.company.timezone, environment)
    return Definitions.merge(everything, playbooks)
