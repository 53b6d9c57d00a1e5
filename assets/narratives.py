"""Narratives: the day, the week and the month in review, each a partition of its own.

Belongs here: for each tier its evidence, its document and its delivery, and what is kept for how long. Does not belong
here: what is a concern (`ops_platform.evidence`), the words (`ops_platform.writing`), the looks
(`ops_platform.documents.narrative`).

A partition is a period by its first day. Only the newest complete one opens actions and is delivered: a backfill of old
ones is for the archive. The day speaks only where it has a concern, in the thread of that morning's pulse.
"""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    DailyPartitionsDefinition,
    FreshnessPolicy,
    MaterializeResult,
    MonthlyPartitionsDefinition,
    TimeWindowPartitionsDefinition,
    WeeklyPartitionsDefinition,
    asset,
)

from assets.document_steps import deliver_document, newest_evidence, report, report_metadata, write_files
from ops_platform import clock, progress
from ops_platform.evidence.spans import TIERS, Span, Tier, last_complete, span_of
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.model import Fact

# Months are kept for ever, so their partitions begin before any company's data; days and weeks are not.
FIRST_MONTH = "2010-01-01"
_TITLES = {"daily": "day", "weekly": "week", "monthly": "month"}
_FRESH = {"daily": timedelta(hours=26), "weekly": timedelta(days=8), "monthly": timedelta(days=33)}


def _partitions(tier: Tier) -> TimeWindowPartitionsDefinition:
    """The periods there are, in the company's zone. A clock that is set ahead of the machine's (demo, tests) has the
    periods up to its own today."""
    zone = get_fleet().company.timezone
    today = clock.business_day(clock.now(), zone)
    ahead = max((today - datetime.now(ZoneInfo(zone)).date()).days, 0)
    start = f"{today.year - 2}-01-01"
    if tier == "daily":
        return DailyPartitionsDefinition(start_date=start, timezone=zone, end_offset=ahead)
    if tier == "weekly":
        return WeeklyPartitionsDefinition(start_date=start, timezone=zone, day_offset=1, end_offset=-(-ahead // 7))
    return MonthlyPartitionsDefinition(start_date=FIRST_MONTH, timezone=zone, end_offset=-(-ahead // 28))


def narrative_assets(tier: Tier) -> list[AssetsDefinition]:
    """The assets of one tier: evidence, report, delivery. Which periods there are is settled here, by the clock."""
    name = f"narrative_{tier}"
    below = {"weekly": "daily", "monthly": "weekly"}.get(tier)
    common: dict[str, Any] = {
        "partitions_def": _partitions(tier),
        "owners": ["team:coordinator"],
        "tags": {"bot": "coordinator", "division": "all", "job": name},
    }
    reads = [AssetKey(["alerts", "cycle"]), AssetKey(["metrics", "fct_metric_daily"])]
    if below is not None:
        reads.append(AssetKey(["report", f"narrative_{below}"]))

    @asset(
        key=AssetKey(["evidence", name]),
        deps=reads,
        group_name="evidence",
        kinds={"postgres"},
        description=(
            f"What the {_TITLES[tier]} was: every metric over it by its own way of adding up, what deserves a line, "
            "incidents, the actions that are open" + (f", and the {below} narratives it builds on." if below else ".")
        ),
        **common,
    )
    def evidence(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        return MaterializeResult(metadata=_gather(warehouse, _span(tier, context)))

    @asset(
        key=AssetKey(["report", name]),
        deps=[evidence],
        group_name="reports",
        kinds={"anthropic", "postgres"},
        description=f"The {_TITLES[tier]} in review: written, every claim checked, stored for replay; also as files.",
        **common,
    )
    def written(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        bundle, stored = report(warehouse, name, _span(tier, context).start)
        files = write_files(get_settings(), name, bundle, stored.document)
        return MaterializeResult(metadata=report_metadata(bundle, stored, files))

    @asset(
        key=AssetKey(["delivery", name]),
        deps=[written],
        group_name="delivery",
        kinds={"slack", "postgres"},
        freshness_policy=FreshnessPolicy.time_window(fail_window=_FRESH[tier]),
        description=(
            "Posted in the thread of the morning's pulse, and only where the day has a concern."
            if tier == "daily"
            else f"The {_TITLES[tier]} in review, posted once."
        ),
        **common,
    )
    def delivered(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        return MaterializeResult(metadata=_deliver(context.run_id, warehouse, name, _span(tier, context)))

    return [evidence, written, delivered]


@asset(
    key=AssetKey(["retention", "narratives"]),
    group_name="reports",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all", "job": "narrative_daily"},
    kinds={"postgres"},
    description=(
        "Narratives past their time are forgotten: days after 90 days, weeks after 12 months, months never "
        "(`fleet.yaml`, narratives). Their messages and what they cost stay in the outbox and the ledger."
    ),
)
def retention_narratives(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.documents.retention import forget, forget_files

    fleet, settings = get_fleet(), get_settings()
    today = clock.business_day(clock.now(), fleet.company.timezone)
    gone: dict[str, int] = {}
    for tier in TIERS:
        keep = fleet.narratives.tier(tier).keep_days
        if not keep:
            continue
        name, before = f"narrative_{tier}", today - timedelta(days=keep)
        with warehouse.connect() as connection:
            gone[name] = forget(connection, name, name, before)
            connection.commit()
        gone[f"{name}_files"] = forget_files(settings.ops_home / "documents", name, before)
    return MaterializeResult(metadata=dict(gone))


def _span(tier: Tier, context: AssetExecutionContext) -> Span:
    return span_of(tier, date.fromisoformat(context.partition_key))


def _gather(warehouse: WarehouseResource, span: Span) -> dict[str, Any]:
    """The evidence of `span` kept, its actions opened where it is the newest. Returns what the lineage shows."""
    from ops_platform.action_items import store
    from ops_platform.action_items.proposals import proposals
    from ops_platform.alerts.policy import business_calendar
    from ops_platform.database.roles import WRITER_READER
    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.narrative_context import read_context
    from ops_platform.evidence.period import kind_of, survey
    from ops_platform.evidence.store import save_bundle
    from ops_platform.fleet.profile import company_profile
    from ops_platform.warehouse.dbt import unproven_since
    from ops_platform.watch.tree import MetricTree

    fleet, now = get_fleet(), clock.now()
    calendar = Calendar(now, ZoneInfo(fleet.company.timezone))
    policy, newest = fleet.narratives.tier(span.tier), span == last_complete(span.tier, calendar.today)
    progress.report(f"evidence: {span.label}")
    with warehouse.connect(role=WRITER_READER) as reader:
        unproven = unproven_since(reader, now)
    with warehouse.connect() as connection:
        silence = _silence(connection, span, calendar)
        context = read_context(connection, span, calendar, silence=silence, unproven_since=unproven)
    with warehouse.connect(role=WRITER_READER) as reader:
        found = survey(reader, now, company_profile(fleet), span, context, policy, MetricTree.load())
    opened = 0
    with warehouse.connect() as connection:
        if newest:
            asked = proposals(found, policy, calendar.today, business_calendar(fleet.alerts).next_business_day)
            opened = store.open_items(
                connection, asked, day=span.end, by=kind_of(span), now=now,
                rest_days=fleet.narratives.action_rest_days,
            )  # fmt: skip
        bundle = found.bundle(
            store.standing(connection, None if newest else span.end),
            store.settled(connection, span.start, span.end),
            most_actions=fleet.narratives.actions,
        )
        digest = save_bundle(connection, bundle)
        connection.commit()
    return {
        "digest": digest,
        "period": f"{span.start} to {span.end}",
        "facts": len(bundle.facts),
        "concerns": len(found.concerns),
        "highlights": len(found.highlights),
        "actions_opened": opened,
        "below": f"{len(context.below)} of {len(context.expected_below)}",
    }


def _silence(connection: "psycopg.Connection[Any]", span: Span, calendar: "Calendar") -> "Sequence[Fact]":
    """What silence covered, for leadership: told with the week and the month."""
    from ops_platform.alerts import receipts

    if span.tier == "daily":
        return ()
    start, end = calendar.start_of(span.start), calendar.end_of(span.end)
    return receipts.facts_of(receipts.covered(connection, start, end, calendar.zone), span.period)


def _deliver(run_id: str, warehouse: WarehouseResource, name: str, span: Span) -> dict[str, Any]:
    from ops_platform.evidence.period import worrying
    from ops_platform.evidence.store import load_bundle

    fleet = get_fleet()
    today = clock.business_day(clock.now(), fleet.company.timezone)
    if span != last_complete(span.tier, today):
        return {"state": "archived", "reason": "a newer period is complete: nothing is posted of an older one"}
    if fleet.jobs[name].always:
        return deliver_document(run_id, warehouse, name, span.start)
    with warehouse.connect() as connection:
        bundle = load_bundle(connection, newest_evidence(connection, name, span.start))
    if not worrying(bundle):
        return {"state": "silent", "reason": "no concern: the run's receipt proves that it looked"}
    return deliver_document(run_id, warehouse, name, span.start)


narrative_daily_evidence, narrative_daily_report, narrative_daily_delivery = narrative_assets("daily")
narrative_weekly_evidence, narrative_weekly_report, narrative_weekly_delivery = narrative_assets("weekly")
narrative_monthly_evidence, narrative_monthly_report, narrative_monthly_delivery = narrative_assets("monthly")
