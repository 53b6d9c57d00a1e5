"""Briefings: the reports that jobs of `fleet.yaml` describe. For each its evidence, its document, its message; for a
job without a report, what it collects.

Belongs here: turning entries into assets. Does not belong here: what a report may be (`ops_platform.fleet.reports`),
what it finds (`ops_platform.evidence.briefing`), how it looks (`ops_platform.documents.briefing`).

A report that has no reason to speak posts nothing: the run's receipt says what it looked at. What a message tells of is
remembered in the transaction that puts it in the outbox, so nothing is told twice and nothing is forgotten untold.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, FreshnessPolicy, MaterializeResult, asset

from assets.collecting import collected
from assets.document_steps import deliver_document, newest_evidence, report, report_metadata, write_files
from ops_platform import clock, progress
from ops_platform.fleet import Fleet, Job, get_fleet
from ops_platform.fleet.ticks import last_tick
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    from ops_platform.alerts.receipts import Looks
    from ops_platform.evidence.briefing import Surroundings
    from ops_platform.evidence.model import Bundle

# An hour more than the longest pause of a weekly job; a monthly one is watched by its ticks.
_SLACK = timedelta(hours=2)
_METRICS = (AssetKey(["metrics", "fct_metric_daily"]), AssetKey(["metrics", "dim_metric"]))
_CYCLE = AssetKey(["alerts", "cycle"])


def briefing_assets(fleet: Fleet) -> list[AssetsDefinition]:
    """The assets of every job that has a report, and of every one that only collects, in the order of the file."""
    made: list[AssetsDefinition] = []
    for name, job in fleet.jobs.items():
        if job.report is not None:
            made += _of_report(name, job)
        elif not job.document:
            made.append(_of_collection(name, job))
    return made


def reads(job: Job) -> list[AssetKey]:
    """The tables a job's report stands on: its views, and the metric table where it shows metrics."""
    views = job.report.views() if job.report is not None else []
    views += [each for each in job.reads if each.startswith(("marts.", "metrics."))]
    keys = [AssetKey(view.split(".")) for view in dict.fromkeys(views)]
    if job.report is not None and (job.report.metrics() or job.report.news_of()):
        keys += [key for key in _METRICS if key not in keys]
    return keys


def _common(name: str, job: Job) -> dict[str, Any]:
    divisions = job.report.divisions if job.report is not None else ()
    division = divisions[0] if len(divisions) == 1 else "all"
    return {"owners": [f"team:{job.bot}"], "tags": {"bot": job.bot, "division": division, "job": name}}


def _fresh(job: Job) -> FreshnessPolicy | None:
    """Twice as long as the longest pause between two ticks; none for what has no schedule."""
    if job.cron is None:
        return None
    fields = job.cron.split()
    longest = timedelta(hours=26) if fields[2] == "*" and fields[4] == "*" else timedelta(days=8)
    return FreshnessPolicy.time_window(fail_window=longest + _SLACK)


def _of_report(name: str, job: Job) -> list[AssetsDefinition]:
    assert job.report is not None
    title = job.report.title

    @asset(
        key=AssetKey(["evidence", name]),
        # The alert machine looks first: its look ends the run's receipt, to which the report's own is added.
        deps=[*reads(job), *([_CYCLE] if job.looks else [])],
        group_name="evidence",
        kinds={"postgres"},
        description=f"{title}: its metrics and lists, what of them is new since it was told, whether to speak.",
        **_common(name, job),
    )
    def evidence(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        return MaterializeResult(metadata=_gather(context.run_id, warehouse, name))

    @asset(
        key=AssetKey(["report", name]),
        deps=[evidence],
        group_name="reports",
        kinds={"anthropic", "postgres"} if job.token_budget else {"postgres"},
        freshness_policy=None if job.posts else _fresh(job),
        description=f"{title}: the document, every number inserted from the evidence; also as files.",
        **_common(name, job),
    )
    def written(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        bundle, stored = report(warehouse, name)
        files = write_files(get_settings(), name, bundle, stored.document)
        return MaterializeResult(metadata=report_metadata(bundle, stored, files))

    if not job.posts:
        return [evidence, written]

    @asset(
        key=AssetKey(["delivery", name]),
        deps=[written],
        group_name="delivery",
        kinds={"slack", "postgres"},
        freshness_policy=_fresh(job),
        description=f"{title}: posted once, and only where there is a reason to speak; else silence with a receipt.",
        **_common(name, job),
    )
    def delivered(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        return MaterializeResult(metadata=_deliver(context.run_id, warehouse, name))

    return [evidence, written, delivered]


def _of_collection(name: str, job: Job) -> AssetsDefinition:
    @asset(
        key=AssetKey(["collection", name]),
        deps=[*collected(job), *([_CYCLE] if job.looks else [])],
        group_name="collection",
        kinds={"postgres"},
        freshness_policy=_fresh(job),
        description=f"{job.description} No message: the run's receipt says how fresh its sources are.",
        **_common(name, job),
    )
    def collection(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
        if not job.looks:
            _settle(context.run_id, warehouse, name, None)
        return MaterializeResult(metadata={"reads": ", ".join(job.reads)})

    return collection


# Steps ------------------------------------------------------------------------------------------------------


def _gather(run_id: str, warehouse: WarehouseResource, name: str) -> dict[str, Any]:
    """The evidence of the job's report kept, and what it looked at in the run's receipt."""
    from ops_platform.evidence.briefing import speaks
    from ops_platform.evidence.store import save_bundle
    from ops_platform.evidence.told import forget_gone

    fleet = get_fleet()
    progress.report(f"evidence: {name}")
    bundle = gathered(warehouse, fleet, name)
    with warehouse.connect() as connection:
        digest = save_bundle(connection, bundle)
        forget_gone(connection, name, _told(bundle))
        connection.commit()
    looks = looks_of(bundle)
    _settle(run_id, warehouse, name, looks)
    return {
        "digest": digest,
        "facts": len(bundle.facts),
        "looked_at": looks.checked,
        "speaks": speaks(bundle),
        "because": ", ".join(" ".join(row.texts.values()) for row in bundle.rows("reasons")),
    }


def gathered(warehouse: WarehouseResource, fleet: Fleet, name: str, *, forgetting: bool = False) -> "Bundle":
    """The evidence of the job's report as of now (`forgetting`: as if nothing had been told); nothing is kept but the
    right to read its views."""
    from ops_platform.database.roles import WRITER_READER, grant_evidence_views
    from ops_platform.evidence.briefing import build_briefing
    from ops_platform.fleet.profile import company_profile

    job = fleet.jobs[name]
    assert job.report is not None
    with warehouse.connect() as connection:
        grant_evidence_views(connection, job.report.views())
        connection.commit()
        around = surroundings(connection, fleet, name)
    if forgetting:
        around = replace(around, told={})
    with warehouse.connect(role=WRITER_READER) as reader:
        return build_briefing(
            reader, clock.now(), company_profile(fleet), fleet.evidence_kind(name), job.report, around,
            always=job.always,
        )  # fmt: skip


def surroundings(connection: "psycopg.Connection[Any]", fleet: Fleet, name: str) -> "Surroundings":
    """What the report needs to know besides its views."""
    from ops_platform.alerts.report_standing import standings
    from ops_platform.evidence.briefing import Surroundings
    from ops_platform.evidence.told import told_by
    from ops_platform.warehouse.dbt import unproven_since
    from ops_platform.watch.tree import MetricTree

    job, now = fleet.jobs[name], clock.now()
    assert job.report is not None
    unproven = {view: unproven_since(connection, now, [view.partition(".")[2]]) for view in job.report.views()}
    zone = fleet.company.timezone
    return Surroundings(
        limits={name: threshold.value for name, threshold in fleet.thresholds.items()},
        standing=standings(connection, fleet, job.report, now, unproven),
        told=told_by(connection, name),
        metrics_unproven_since=unproven_since(connection, now, ["fct_metric_daily"]),
        tree=MetricTree.load() if job.report.news_of() else None,
        due=None if job.cron is None else last_tick(job.cron, zone, now),
    )


def looks_of(bundle: "Bundle") -> "Looks":
    """What the report looked at: rows of its lists' views, and the metrics it is judged by."""
    from ops_platform.alerts.receipts import Looks

    checked = breached = unknown = 0
    near: tuple[Decimal, str] | None = None
    for row in bundle.rows("looks"):
        unknown += row.mark == "unknown"
        if "count" in row.facts:
            count = bundle.fact(row.facts["count"]).value or Decimal(0)
            looked = bundle.get(row.facts.get("looked", ""))
            checked += max(int(looked.value or 0) if looked else 0, int(count), 1)
            breached += int(count)
            nearest = bundle.get(row.facts.get("nearest", ""))
            found = (nearest.value, nearest.about or "") if nearest is not None and nearest.value is not None else None
        else:
            checked += 1
            breached += row.mark == "breached"
            nearness = row.texts.get("nearness")
            clear = row.mark == "clear" and nearness is not None
            found = (Decimal(nearness or 0), bundle.fact(row.facts["figure"]).label) if clear else None
        if found is not None and (near is None or found[0] > near[0]):
            near = (found[0], found[1])
    return Looks(checked, breached, unknown, near[1] if near else None, near[0] if near else None)


def _told(bundle: "Bundle") -> dict[str, dict[str, str]]:
    from ops_platform.evidence.briefing import told_in

    return told_in(bundle)


def _settle(run_id: str, warehouse: WarehouseResource, name: str, looks: "Looks | None") -> None:
    """The report's own looks in the run's receipt: added to those of the alert machine where that looked, too."""
    from ops_platform.alerts import receipts

    fleet = get_fleet()
    job, limits = fleet.jobs[name], {vendor: source.stale_after_hours for vendor, source in fleet.sources.items()}
    with warehouse.connect() as connection:
        added = job.looks and looks is not None and receipts.looked(connection, run_id, looks)
        if not added:
            receipts.settle(
                connection, run_id, name, bot=job.bot, at=datetime.now(UTC), as_of=clock.now(), looks=looks,
                freshness=receipts.freshness_of(connection, limits, clock.now()), messages=0,
            )  # fmt: skip
        connection.commit()


def _deliver(run_id: str, warehouse: WarehouseResource, name: str) -> dict[str, Any]:
    """The report in its channel where it has a reason to speak, once for the moment it was due."""
    from ops_platform.evidence.briefing import due_of, speaks
    from ops_platform.evidence.store import load_bundle
    from ops_platform.evidence.told import remember

    fleet = get_fleet()
    job = fleet.jobs[name]
    assert job.report is not None
    with warehouse.connect() as connection:
        bundle = load_bundle(connection, newest_evidence(connection, fleet.evidence_kind(name)))
        if not speaks(bundle):
            return {"state": "silent", "reason": "nothing it speaks of: the run's receipt proves that it looked"}
        thread = _first_of_day(connection, name, job, bundle) if job.report.thread == "day" else None
    due = due_of(bundle)
    return deliver_document(
        run_id, warehouse, name, thread_of=thread,
        # What has no schedule speaks of what is new, and that is what tells its messages apart.
        slot=due.isoformat() if due is not None else bundle.digest[:16],
        told=lambda connection, bundle: remember(connection, name, _told(bundle), clock.now()),
    )  # fmt: skip


def _first_of_day(connection: "psycopg.Connection[Any]", name: str, job: Job, bundle: "Bundle") -> "UUID | None":
    """The message that began the job's thread of this day, where there is one already."""
    today = clock.business_day(bundle.as_of, bundle.company.timezone)
    start = datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(bundle.company.timezone))
    row = connection.execute(
        "select outbox.id from ops.outbox join ops.documents on documents.id = outbox.document_id"
        " join ops.evidence_bundles on evidence_bundles.digest = documents.evidence_digest"
        " where outbox.kind = %s and outbox.channel_key = %s and outbox.thread_of is null"
        " and outbox.state not in ('failed', 'held') and evidence_bundles.as_of >= %s and evidence_bundles.as_of < %s"
        " order by outbox.created_at limit 1",
        (name, job.channel, start, bundle.as_of),
    ).fetchone()
    return None if row is None else row[0]
