"""The platform's traces of itself whose time is over.

Belongs here: deleting from `ops` what only tells how the machine once stood. Does not belong here: documents
(`ops_platform.documents.retention`), messages, costs and decisions, which are kept for good; Dagster's traces
(`ops_platform.instance.retention`); for how long (`health.retention` of `fleet.yaml`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet.health_policy import Retention

# Of an old day of scores the last one stays.
_HEALTH = """
delete from ops.fleet_health as old
where old.at < %(before)s and exists (
    select from ops.fleet_health as newer where newer.at > old.at
        and (newer.at at time zone 'UTC')::date = (old.at at time zone 'UTC')::date
)
"""
_OBSERVATIONS = "delete from ops.service_observations where at < %(before)s"
_TICKS = "delete from ops.expected_ticks where due_at < %(before)s"
# The newest success of a stream says how long it has been well; it stays, and so does all that came after it.
_SYNCS = """
delete from ops.sync_runs as old
where old.started_at < %(before)s and exists (
    select from ops.sync_runs as newer
    where newer.vendor = old.vendor and newer.stream = old.stream and newer.status = 'succeeded' and newer.id > old.id
)
"""
# A record set aside that has since come in, or been overtaken, has nothing left to say; what waits stays.
_QUARANTINE = "delete from ops.quarantine where resolved_at < %(before)s"
_RECEIPTS = """
delete from ops.receipts as old
where old.started_at < %(before)s and exists (
    select from ops.receipts as newer
    where newer.job = old.job and newer.status = 'succeeded' and newer.started_at > old.started_at
)
"""
# What a webhook said is in the issues as they were seen; that it came is known for longer than GitHub redelivers.
_DELIVERIES = "delete from ops.work_deliveries where state <> 'received' and processed_at < %(before)s"


def forget_traces(connection: psycopg.Connection[Any], retention: Retention, now: datetime) -> dict[str, int]:
    """Delete what is older than it is kept; returns how many rows of each table went. Does not commit."""
    gone = {}
    for table, statement, days in (
        ("fleet_health", _HEALTH, retention.health),
        ("service_observations", _OBSERVATIONS, retention.observations),
        ("expected_ticks", _TICKS, retention.observations),
        ("sync_runs", _SYNCS, retention.syncs),
        ("quarantine", _QUARANTINE, retention.syncs),
        ("receipts", _RECEIPTS, retention.receipts),
        ("work_deliveries", _DELIVERIES, retention.observations),
    ):
        gone[table] = connection.execute(statement.encode(), {"before": now - timedelta(days=days)}).rowcount
    return gone
