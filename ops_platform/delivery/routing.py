"""Where a document goes and when: its channel, its thread, its addresses, quiet hours.

Belongs here: reading the routes of `fleet.yaml` for one document at one moment. Does not belong here: their shape
(`ops_platform.fleet.delivery_policy`), posting (`worker.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.fleet.delivery_policy import LEVELS

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.fleet.delivery_policy import Level, QuietHours, Route


def route_of(fleet: Fleet, job: str) -> Route:
    """The route of a job's documents, its channel filled in."""
    entry = fleet.jobs[job]
    route = fleet.delivery.route(job, entry.kind)
    return route if route.channel is not None else route.model_copy(update={"channel": entry.channel})


def addresses_of(fleet: Fleet, job: str) -> list[str]:
    """Who gets a job's documents by e-mail."""
    return fleet.delivery.addresses(route_of(fleet, job).email)


def quiet_until(fleet: Fleet, level: Level, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` lies, for a message of this level; None where it may go at once."""
    hours = fleet.delivery.quiet_hours
    if hours is None or LEVELS.index(level) >= LEVELS.index(hours.below):
        return None
    return end_of_quiet(hours, ZoneInfo(fleet.company.timezone), now)


def end_of_quiet(hours: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` lies, on the clock on the wall: an hour more or less on the days on
    which clocks are changed. None outside them."""
    local = now.astimezone(zone)
    at = local.time()
    overnight = hours.start > hours.end
    inside = (at >= hours.start or at < hours.end) if overnight else (hours.start <= at < hours.end)
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if overnight and at >= hours.start else 0)
    return datetime.combine(day, hours.end, tzinfo=zone)


def thread_for(connection: psycopg.Connection[Any], job: str, period_start: date, channel_key: str) -> UUID | None:
    """The message of `job` for the same period in the same channel, if it was or will be posted: what answers it goes
    in its thread. Without one a document stands alone, for it must not be lost with another."""
    row = connection.execute(
        "select id from ops.outbox where kind = %s and period_start = %s and channel_key = %s"
        " and thread_of is null and state not in ('failed', 'held') order by created_at limit 1",
        (job, period_start, channel_key),
    ).fetchone()
    return None if row is None else row[0]
