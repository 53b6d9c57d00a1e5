"""The machine itself: runs that failed, processes that died, builds, the database's size, health.

Belongs here: the reading. Does not belong here: the health formula (`ops_platform.fleet.health`), watching
(`deploy/watchdog.sh`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = (
    "ops.receipts", "ops.worker_deaths", "ops.fleet_health", "ops.fleet_health_factors", "ops.outbox",
    "ops.asset_freshness",
)  # fmt: skip
_RUNS = """
select count(*) filter (where status <> 'running') as ended, count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'running') as running,
    round(percentile_cont(0.5) within group (
        order by extract(epoch from finished_at - started_at)
    )::numeric) as median
from ops.receipts where started_at > %(day)s and started_at <= %(as_of)s
"""
_FAILED = """
select job, error from ops.receipts
where status = 'failed' and started_at > %(day)s and started_at <= %(as_of)s order by started_at desc limit 5
"""
_DEATHS = "select count(*) as died from ops.worker_deaths where died_at > %(week)s and died_at <= %(as_of)s"
_BUILD = """
select status, models, tests, failures, warnings, finished_at from ops.warehouse_builds
where finished_at <= %(as_of)s and of_models is null order by id desc limit 1
"""
_HEALTH = "select score, low, high from ops.fleet_health where at <= %(as_of)s order by at desc limit 1"
_HELD = "select count(*) as messages from ops.outbox where state in ('held', 'failed')"
_ASSETS = "select count(*) filter (where state = 'stale') as stale, count(*) as assets from ops.asset_freshness"
_SIZE = "select round(pg_database_size(current_database()) / 1024.0 / 1024.0, 1) as megabytes"


def read(reader: Reader) -> Finding:
    """Runs of the trailing day, deaths of the week, the newest whole build, what is stuck."""
    params = {
        "as_of": reader.until, "day": reader.as_of - timedelta(days=1), "week": reader.as_of - timedelta(days=7),
    }  # fmt: skip
    runs, deaths, held = reader.one(_RUNS, params), reader.one(_DEATHS, params), reader.one(_HELD)
    build = next(iter(reader.rows(_BUILD, params)), None)
    health = next(iter(reader.rows(_HEALTH, params)), None)
    assets, size = reader.one(_ASSETS), reader.one(_SIZE)
    down = "down_is_good"
    counted: list[tuple[str, str, object, str, str, str]] = [
        ("runs_ended", "Runs ended in the trailing day", runs["ended"], "ops.receipts", _RUNS, "neutral"),
        ("runs_failed", "Runs that failed", runs["failed"], "ops.receipts", _RUNS, down),
        ("runs_running", "Runs under way", runs["running"], "ops.receipts", _RUNS, "neutral"),
        ("workers_died", "Run processes that died in seven days", deaths["died"], "ops.worker_deaths", _DEATHS, down),
        ("messages_stuck", "Messages held or failed", held["messages"], "ops.outbox", _HELD, down),
        ("assets_stale", "Assets stale", assets["stale"] if assets["assets"] else None, "ops.asset_freshness", _ASSETS,
         down),
        ("build_tests", "Tests of the newest build", build and build["tests"], "ops.warehouse_builds", _BUILD,
         "neutral"),
        ("build_failures", "Failed tests of the newest build", build and build["failures"], "ops.warehouse_builds",
         _BUILD, down),
        ("database_megabytes", "Megabytes in the database", size["megabytes"], "pg_database_size", _SIZE, "neutral"),
    ]  # fmt: skip
    facts = [
        reader.fact(name, label, "count", value, relation, query, params, direction=direction)  # type: ignore[arg-type]
        for name, label, value, relation, query, direction in counted
    ]
    shown = ["runs_ended", "runs_failed", "workers_died", "messages_stuck", "database_megabytes"]
    if runs["median"] is not None:
        facts.append(
            reader.fact(
                "run_seconds", "Median seconds of a run", "count", runs["median"], "ops.receipts", _RUNS, params
            )
        )
        shown.append("run_seconds")
    if health is not None and health["score"] is not None:
        facts.append(reader.fact("fleet_health", "Fleet health", "score", health["score"], "ops.fleet_health", _HEALTH,
                                 params, direction="up_is_good"))  # fmt: skip
        shown.append("fleet_health")
    lines = []
    if build is None:
        lines.append(Line("unknown", "The warehouse was never built whole"))
    elif build["status"] == "failed":
        lines.append(Line("attention", "The newest build did not pass its tests", ("build_failures",)))
    else:
        lines.append(Line("ok", "The newest build passed its tests", ("build_tests",)))
    if health is None:
        lines.append(Line("unknown", "Fleet health was never computed"))
    for row in reader.rows(_FAILED, params):
        lines.append(Line("attention", f"Run of {row['job']} failed:", (), quoted(row["error"] or "no words")))
    return Finding("The platform", tuple(facts), tuple(shown), tuple(lines))
