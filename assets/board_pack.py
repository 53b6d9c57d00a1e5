"""The board pack: its evidence, the pack with its files, and the question whether it may go to the board.

Belongs here: one asset each of evidence, report and delivery under `board_pack`. Does not belong here: which facts
(`ops_platform.evidence.board_pack`), pages (`ops_platform.documents.board_pack`), decisions (`ops_platform.approvals`).

Nothing here sends the pack: its delivery asks, and a person's approval sends exactly what was shown.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from assets.document_steps import (
    PATIENCE_SECONDS,
    newest_evidence,
    report,
    report_metadata,
    stored_for,
    write_file,
    write_files,
)
from ops_platform import clock, progress
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.fleet.profile import company_profile
from ops_platform.settings import get_settings
from ops_platform.warehouse.dbt import unproven_since
from resources.postgres import WarehouseResource

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.evidence.pack_context import PackContext

NAME = "board_pack"
TAGS = {"bot": "coordinator", "division": "all"}


@asset(
    key=AssetKey(["evidence", NAME]),
    deps=[
        AssetKey(["metrics", "fct_metric_daily"]),
        AssetKey(["metrics", "dim_metric"]),
        AssetKey(["alerts", "cycle"]),
    ],
    group_name="evidence",
    owners=["team:coordinator"],
    tags=TAGS,
    kinds={"postgres"},
    description=(
        "The board pack's evidence: every metric by month, quarter and year to date, against the month before, the "
        "year before, plan and target; where the change lies; what is off, asked and open; which numbers of the last "
        "pack have moved. Stored under its digest in `ops.evidence_bundles`."
    ),
)
def evidence_board_pack(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.database.roles import WRITER_READER
    from ops_platform.evidence.board_pack import build_board_pack_bundle
    from ops_platform.evidence.store import save_bundle

    fleet, now = get_fleet(), clock.now()
    progress.report("evidence: gathering the month")
    with warehouse.connect() as connection:
        told = pack_context(connection, fleet, now)
    with warehouse.connect(role=WRITER_READER) as reader:
        bundle = build_board_pack_bundle(reader, now, company_profile(fleet), told)
    with warehouse.connect() as connection:
        digest = save_bundle(connection, bundle)
        connection.commit()
    unknown = [row.facts["figure"] for row in bundle.rows("unknown")]
    restated = bundle.get("restated")
    return MaterializeResult(
        metadata={
            "digest": digest,
            "period": bundle.period.label,
            "facts": len(bundle.facts),
            "series": len(bundle.series),
            "off": len(bundle.rows("risks")),
            "unknown_facts": ", ".join(unknown[:20]),
            "restated": int(restated.value) if restated is not None and restated.value is not None else 0,
        }
    )


def pack_context(connection: "psycopg.Connection[Any]", fleet: Fleet, now: "datetime") -> "PackContext":
    """What the pack of the month that was over last at `now` is told besides metrics, in the fleet's words and from
    the operational tables."""
    from ops_platform.evidence import pack_reading
    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.months import previous_month
    from ops_platform.evidence.pack_context import PackContext
    from ops_platform.watch.tree import MetricTree

    calendar = Calendar(now, ZoneInfo(fleet.company.timezone))
    month = previous_month(calendar.today)
    start, end = calendar.start_of(month.start), calendar.end_of(month.end)
    starts = fleet.thresholds.get("fiscal_year_start_month")
    last = pack_reading.last_pack(connection, month.start, month.end)
    return PackContext(
        scorecard=fleet.board_pack.scorecard,
        decisions=fleet.board_pack.decisions,
        fiscal_year_starts=int(starts.value) if starts is not None else 1,
        alerts=pack_reading.open_alerts(connection, now),
        actions=pack_reading.open_actions(connection, now),
        previous=last.bundle if last is not None else None,
        published=last.published if last is not None else frozenset(),
        hours_saved=pack_reading.hours_saved(connection, fleet.board_pack.hours_saved, start, end),
        infrastructure_cost=fleet.board_pack.infrastructure_cost,
        unproven_since=unproven_since(connection, now),
        tree=MetricTree.load(),
    )


@asset(
    key=AssetKey(["report", NAME]),
    deps=[evidence_board_pack],
    group_name="reports",
    owners=["team:coordinator"],
    tags=TAGS,
    kinds={"anthropic", "postgres"},
    description=(
        "The board pack: pages with native charts, written by Claude or, without a key or on any doubt, by rules; "
        "every number inserted from the evidence. As slides, PDF, workbook, markdown and message under `documents/`."
    ),
)
def report_board_pack(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.documents.files import files_of

    settings = get_settings()
    bundle, stored = report(warehouse, NAME)
    progress.report("report: drawing slides, PDF and workbook")
    made = [write_file(settings, name, content) for name, content in files_of(stored.document, bundle).items()]
    made += write_files(settings, NAME, bundle, stored.document)
    return MaterializeResult(metadata=report_metadata(bundle, stored, made))


@asset(
    key=AssetKey(["delivery", NAME]),
    deps=[report_board_pack],
    group_name="delivery",
    owners=["team:coordinator"],
    tags=TAGS,
    kinds={"slack", "postgres"},
    description=(
        "The board pack as a draft that waits for a person's decision, asked in the executive channel and at the "
        "terminal. It is sent when it is approved, once, and exactly as it was shown; silence is a refusal."
    ),
)
def delivery_board_pack(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.alerts import receipts
    from ops_platform.approvals.assembly import ask_about_document, inbox_of
    from ops_platform.delivery.routing import addresses_of, route_of
    from ops_platform.delivery.worker import deliver
    from ops_platform.failures import DataFailure
    from resources.posters import email_connected, posters_of
    from resources.slack_posting import channel_id

    settings, fleet = get_settings(), get_fleet()
    job, connected = fleet.jobs[NAME], settings.slack_bot_token is not None
    inbox = inbox_of(fleet, (lambda key: channel_id(settings, key)) if connected else None)
    with warehouse.connect() as connection:
        stored = stored_for(connection, NAME, newest_evidence(connection, job.document))
        if stored is None:
            raise DataFailure(f"the document of {NAME} was not written: materialise its report first")
        asked = ask_about_document(
            connection, inbox, stored.id, title=f"Board pack, {stored.document.period.label}",
            told_in=job.channel, goes_to=route_of(fleet, NAME).channel or job.channel,
            wait=timedelta(days=fleet.board_pack.review_days),
            now=clock.now(), email=addresses_of(fleet, NAME) if email_connected(settings) else (),
        )  # fmt: skip
        if connected:
            receipts.said(connection, context.run_id, 1)
        else:
            receipts.hold(connection, context.run_id, "undelivered", 1)
        connection.commit()
    told: dict[str, Any] = {"request": asked.id, "state": str(asked.state), "document_id": stored.id}
    if not connected:
        return MaterializeResult(metadata={**told, "told": "at the terminal only: set SLACK_BOT_TOKEN"})
    progress.report("delivery: asking for a decision in Slack")
    outcome = deliver(warehouse.connect, posters_of(settings, warehouse.connect), patience=PATIENCE_SECONDS)
    if outcome.failed or outcome.held:
        raise DataFailure(f"not every message is there: {outcome}")
    return MaterializeResult(metadata={**told, "posts": outcome.posts, "waiting": len(outcome.waiting)})
