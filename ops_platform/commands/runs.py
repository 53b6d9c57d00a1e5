"""Running a job of the fleet in this process, on the real instance.

Belongs here: `ops run`, and the run inside `ops demo`. Does not belong here: what jobs do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ops_platform import clock
from ops_platform.evidence.spans import last_complete, span_of, tier_of
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.settings import get_settings, reset_settings

if TYPE_CHECKING:
    from dagster import AssetKey, Definitions, JobDefinition


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: its id for the Dagster UI, and the steps that failed with their reasons."""

    run_id: str
    succeeded: bool
    failures: tuple[str, ...]
    failed_checks: tuple[str, ...]


def run_job(
    name: str, day: date | None = None, *, collects: bool = True, definitions: Definitions | None = None
) -> RunOutcome:
    """Run a job of `fleet.yaml` now, in this process; it shows in the Dagster UI like any other run. A job of one
    period a run is run for the newest that is over, or the one `day` is in. Without `collects` it makes its document
    of what is there: another job has just brought it up to date. Who runs several gives the `definitions`, which are
    made anew otherwise.

    Raises `ConfigurationError` for a job that does not exist, and for a day that makes no sense."""
    fleet = get_fleet()
    if name not in fleet.jobs:
        raise ConfigurationError(f"there is no job {name!r}: choose among {', '.join(fleet.jobs)}")
    period = _period(fleet, name, day)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", module="dagster.*")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    # As the run of its bot, with what only that bot may use.
    os.environ["OPS_BOT"] = fleet.jobs[name].bot
    reset_settings()
    from dagster import DagsterInstance

    from ops_platform.instance.launcher import WORKER_TAG
    from ops_platform.instance.processes import identity

    if definitions is None:
        from ops_platform.build import build_definitions

        definitions = build_definitions()
    job = definitions.resolve_job_def(name)
    logs = get_settings().ops_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # dbt's own lines are for whoever looks into a run, not for whoever waits for it.
    with (
        DagsterInstance.get() as instance,
        (logs / f"{name}.log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        result = job.execute_in_process(
            instance=instance,
            partition_key=period,
            asset_selection=None if collects else _own_assets(job, name),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={"ops/started_by": "command line", WORKER_TAG: identity(os.getpid())},
        )
        failures = tuple(f"{event.step_key}: {_reason(event)}" for event in result.all_events if event.is_step_failure)
        checks = tuple(
            f"{event.asset_check_evaluation_data.asset_key.to_user_string()}.{event.asset_check_evaluation_data.check_name}"
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed
        )
        return RunOutcome(result.run_id, result.success, failures, checks)


def _own_assets(job: JobDefinition, name: str) -> list[AssetKey]:
    """What no other job makes: its evidence, document and delivery; and the look for alerts, with which every run ends
    its receipt."""
    return [
        key
        for key in job.asset_layer.executable_asset_keys
        if (key.path[-1] == name and job.asset_layer.get(key).group_name in ("evidence", "reports", "delivery"))
        or key.path in (["alerts", "cycle"], ["delivery", "alerts"])
    ]


def _period(fleet: Fleet, name: str, day: date | None) -> str | None:
    """The partition to run: the first day of the period, None for a job without periods."""
    tier = tier_of(fleet.jobs[name].kind)
    if tier is None:
        if day is not None:
            raise ConfigurationError(f"{name} is not of a period: run it without one")
        return None
    newest = last_complete(tier, clock.business_day(clock.now(), fleet.company.timezone))
    span = newest if day is None else span_of(tier, day)
    if span.end > newest.end:
        raise ConfigurationError(f"{span.label} is not over: the newest that is, is {newest.label}")
    return span.start.isoformat()


def _reason(event: object) -> str:
    error = getattr(getattr(event, "step_failure_data", None), "error", None)
    if error is None:
        return "failed"
    cause = error.cause or error
    return " ".join(cause.message.split())
