"""What is due when, and what must and must not be said of it, as people were promised it.

Belongs here: the company's timetable written out by hand, and the wall clock of a place read without any cron. Does not
belong here: `fleet.yaml`, the playbooks and their readers: that they agree with this is what is to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Job, days, times on the company's wall clock; "half-hours" and "hours" go by the hours there are, repeated ones too.
TIMETABLE = """
ops_pulse                 daily            06:00
narrative_daily           daily            06:30
narrative_weekly          mon              07:00
narrative_monthly         1st              07:00
board_pack                1st              08:00
fleet_health              daily            half-hours
nightly_collection        daily            22:00
erp_shop_reconciliation   daily            23:00
division_digest           fri              16:00
inventory_watchdog        daily            10:00,14:00,18:00,22:00
late_orders               daily            08:00
stock_replenishment       mon              19:00
fulfillment_tracker       daily            00:00,02:00,04:00,06:00,08:00,10:00,12:00,14:00,16:00,18:00,20:00,22:00
logistics_weekly_digest   sun              20:00
marketing_context         mon-fri          05:30
review_monitor            daily            09:00
campaign_performance      daily            09:15
competitor_watch          daily            10:00
seo_pulse                 mon              08:00
content_calendar          mon-fri          08:30
marketplace_health        daily            07:00
marketing_weekly_digest   sun              20:00
sales_context             mon-fri          05:30
lead_scoring              daily            07:00
lead_followup             daily            09:00
pipeline_monitor          mon-sat          09:00
pipeline_refresh          mon-fri          15:00
outbound_report           daily            09:30
pipeline_report           mon,thu          14:00
b2b_pipeline              mon              09:00
promo_monitor             mon              09:15
sample_requests           mon-fri          11:00
project_status            mon,thu          13:00
deal_hygiene              fri              17:00
sales_weekly_digest       sun              20:00
playbook_ops_daily_health_check    mon-fri 09:00
playbook_ops_weekly_growth_review  mon     08:00
playbook_ops_integration_monitor   daily   hours
playbook_ops_churn_prevention      daily   10:00
retention                 daily            03:20
"""
#: Speak at every tick, whatever there is: so many messages a tick at least (a digest has more in its thread).
ALWAYS = frozenset({
    "ops_pulse", "narrative_weekly", "narrative_monthly", "logistics_weekly_digest", "marketing_weekly_digest",
    "sales_weekly_digest", "pipeline_report", "b2b_pipeline",
})  # fmt: skip
#: Never speak.
NEVER = frozenset({"marketing_context", "sales_context", "pipeline_refresh", "nightly_collection"})
#: Started by what happens, not by the clock.
BY_EVENTS = frozenset(
    {"order_anomaly", "ticket_triage", "custom_orders", "vendor_drafts", "alerts", "outbox", "approvals"}
)


@dataclass(frozen=True, slots=True)
class Due:
    """A moment (UTC) at which a job is due."""

    job: str
    at: datetime


def jobs() -> list[str]:
    return [line.split()[0] for line in TIMETABLE.strip().splitlines()]


def due_between(start: datetime, end: datetime) -> list[Due]:
    """Everything that is due in [start, end), by time and job."""
    found = [Due(job, at) for job, days, times in _entries() for at in _moments(days, times, start, end)]
    return sorted(found, key=lambda each: (each.at, each.job))


def _entries() -> Iterator[tuple[str, str, str]]:
    for line in TIMETABLE.strip().splitlines():
        job, days, times = line.split()
        yield job, days, times


def _moments(days: str, times: str, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = start.astimezone(UTC).replace(second=0, microsecond=0)
    while moment < end:
        local = moment.astimezone(ZONE)
        if moment >= start and _on(days, local.date()) and _at(times, local):
            yield moment
        moment += timedelta(minutes=1)


def _on(days: str, day: date) -> bool:
    if days == "daily":
        return True
    if days == "1st":
        return day.day == 1
    first, _, last = days.partition("-")
    if last:
        return _DAYS.index(first) <= day.weekday() <= _DAYS.index(last)
    return _DAYS[day.weekday()] in days.split(",")


def _at(times: str, local: datetime) -> bool:
    if times == "half-hours":
        return local.minute in (0, 30)
    if times == "hours":
        return local.minute == 0
    # A time of the wall clock that comes twice is meant once: the first.
    return local.fold == 0 and f"{local:%H:%M}" in times.split(",")
