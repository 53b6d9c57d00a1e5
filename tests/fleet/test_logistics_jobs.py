"""The jobs of the coordinator and of logistics, and the event-driven four, each by its entry in fleet.yaml: it speaks
when it must and says what it must; else it is silent and its receipt says what it looked at; nothing is told twice.

The marts are as their contracts have them, filled by hand, so that everybody sees what is to be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ops_platform import clock
from ops_platform.fleet import get_fleet
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.delivery.slack_fake import SlackFake
from tests.fleet import job_scene
from tests.fleet.job_scene import MORNING, NEW_YORK, Rows

DAY = timedelta(days=1)
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
ORDER = {"order_id": "1", "order_name": "#1001", "age_days": 8, "bucket": "watch", "channel": "web", "value": 120,
         "high_value": False}  # fmt: skip
SKU = {"sku": "NB-A", "product_name": "Arc", "is_active": True, "is_key": False, "available": 5, "days_of_supply": 3,
       "severity": "critical", "velocity_30d": 2}  # fmt: skip
WAITING = {"order_id": "1", "order_name": "#1001", "channel": "web", "hours_waiting": 50, "band": "warning",
           "value": 120, "high_value": False}  # fmt: skip
PROPOSAL = {"sku": "NB-A", "product_name": "Arc", "supplier_name": "Haoyu", "reorder_quantity": 80, "available": 5,
            "days_of_supply": 3, "lead_time_days": 45, "order_value_company": 6520}  # fmt: skip
GAP = {"date": date(2026, 11, 18), "gap_amount": -1314.35, "shop_amount": 9168, "erp_amount": 7853.65,
       "status": "mismatched"}  # fmt: skip
DIFFERENCE = {"order_name": "#25296", "date": date(2026, 11, 18), "finding": "missing_in_erp", "state": "open",
              "difference_amount": -228}  # fmt: skip
TICKET = {"ticket_id": "app:7", "ticket_number": "7", "system": "app", "category": "firmware", "hours_waiting": 30,
          "urgency": "soon", "queue": "App Development", "opened_day": YESTERDAY}  # fmt: skip
CUSTOM = {"order_id": "1", "order_name": "#1001", "channel": "web", "promised_day": date(2026, 11, 25),
          "stage": "due_soon", "value": 120}  # fmt: skip
ODD = {"order_id": "1", "order_name": "#1001", "channel": "web", "value": 1999, "units": 2,
       "reason_words": "far above what its channel orders"}  # fmt: skip
PURCHASE = {"purchase_order_line_id": "1", "purchase_order_number": "PO-2272", "supplier_name": "Lumitek <!here>",
            "sku": "NB-P", "item_name": "Pulse 10K", "expected_day": date(2026, 11, 18), "is_overdue": True,
            "quantity_outstanding": 80, "days_overdue": 2, "value_outstanding_company": 900}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Marts in which a job must speak and what its message must hold; marts in which it must not; what it must tell
    when these change. `again`: told at the next tick from the same marts, too."""

    job: str
    speaks: Rows
    holds: tuple[str, ...]
    quiet: Rows = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    changed: Rows = field(default_factory=dict)
    again: bool = False


def of(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


SCENES = (
    Scene(
        "late_orders",
        {"fct_late_orders": [ORDER, of(ORDER, order_id="2", order_name="#900", age_days=44, bucket="critical",
                                       value=716.44, high_value=True)]},
        ("2 late orders", "$836.44", "30 days and more: 1", "#900", "44 days old", "high value", "7 to 13 days: 1"),
        {"fct_late_orders": []},
        again=True,
    ),
    Scene(
        "inventory_watchdog",
        {"fct_inventory_position": [SKU, of(SKU, sku="NB-B", severity="warning", days_of_supply=11, is_key=True),
                                    of(SKU, sku="NB-C", severity="none"), of(SKU, sku="NB-D", is_active=False)]},
        ("2 SKUs short of stock", "Critical: 1", "NB-A", "lasts 3 days", "Warning: 1", "NB-B", "key product"),
        {"fct_inventory_position": [of(SKU, severity="none")]},
        lacks=("NB-C", "NB-D"),
        changed={"fct_inventory_position": [SKU, of(SKU, sku="NB-B", severity="critical", days_of_supply=5)]},
    ),
    Scene(
        "stock_replenishment",
        {"fct_replenishment_proposals": [PROPOSAL, of(PROPOSAL, sku="NB-B", reorder_quantity=10, days_of_supply=20,
                                                      order_value_company=100)]},
        ("2 proposals", "$6,620 in all", "order 80", "for $6,520", "Haoyu", "lead time 45 days", "Nothing was ordered"),
        {"fct_replenishment_proposals": []},
        again=True,
    ),
    Scene(
        "fulfillment_tracker",
        {"fct_orders_to_ship": [WAITING, of(WAITING, order_id="2", order_name="#1002", band="critical",
                                            hours_waiting=80), of(WAITING, order_id="3", band="over_target")]},
        ("2 orders past the limit", "Critical: 1", "#1002", "waits 3.3 days", "Warning: 1", "waits 50 h"),
        {"fct_orders_to_ship": [of(WAITING, band="over_target", hours_waiting=30)]},
        changed={"fct_orders_to_ship": [of(WAITING, band="critical", hours_waiting=73)]},
    ),
    Scene(
        "erp_shop_reconciliation",
        {"fct_erp_shop_reconciliation": [GAP, of(GAP, date=YESTERDAY, status="matched", gap_amount=0.4)],
         "fct_erp_shop_order_differences": [DIFFERENCE, of(DIFFERENCE, order_name="#9", state="settled")]},
        ("1 day beyond tolerance", "−$1,314 ERP less shop", "Not in the ERP: 1", "#25296", "−$228.00"),
        {"fct_erp_shop_reconciliation": [of(GAP, status="matched", gap_amount=-20)],
         "fct_erp_shop_order_differences": []},
        lacks=("#9 ",),
        changed={"fct_erp_shop_reconciliation": [of(GAP, gap_amount=-1500)]},
    ),
    Scene(
        "order_anomaly",
        {"fct_order_anomalies": [ODD]},
        ("#1001", "$1,999", "far above what its channel orders"),
        {"fct_order_anomalies": []},
        changed={"fct_order_anomalies": [ODD, of(ODD, order_id="2", order_name="#1002")]},
    ),
    Scene(
        "ticket_triage",
        {"fct_tickets_waiting": [TICKET, of(TICKET, ticket_id="app:8", ticket_number="8", urgency="in_turn"),
                                 of(TICKET, ticket_id="app:9", urgency="urgent", opened_day=date(2026, 10, 1))]},
        ("1 ticket to answer", "Soon: 1", "waits 30 h", "for App Development"),
        {"fct_tickets_waiting": [of(TICKET, urgency="in_turn")]},
        changed={"fct_tickets_waiting": [of(TICKET, urgency="urgent")]},
    ),
    Scene(
        "custom_orders",
        {"fct_custom_orders_open": [CUSTOM]},
        ("Due soon: 1", "#1001", "promised Wed 25 Nov"),
        {"fct_custom_orders_open": []},
        changed={"fct_custom_orders_open": [of(CUSTOM, stage="overdue")]},
    ),
    Scene(
        "vendor_drafts",
        {"fct_purchase_orders_open": [PURCHASE, of(PURCHASE, purchase_order_line_id="2", is_overdue=False,
                                                   purchase_order_number="PO-1")]},
        ("PO-2272", "80 units of Pulse 10K were due Wed 18 Nov", "Please tell us the new shipping date",
         "nothing was sent"),
        {"fct_purchase_orders_open": [of(PURCHASE, is_overdue=False)]},
        lacks=("PO-1 ", "<!here>"),
        changed={"fct_purchase_orders_open": [of(PURCHASE, expected_day=date(2026, 11, 19), days_overdue=1)]},
    ),
)  # fmt: skip
OURS = tuple(scene.job for scene in SCENES)


def streams_of(job: str) -> list[str]:
    report = get_fleet().jobs[job].report
    assert report is not None
    return [each for listing in report.listings() for each in (*listing.sources, *listing.any_source)]


@pytest.fixture(scope="module")
def stage(server_home: Any, migrated: str) -> Iterator[Connect]:
    """One database with the marts of all these jobs; their sources are fresh."""
    views = []
    for name in (*OURS, "logistics_weekly_digest"):
        report = get_fleet().jobs[name].report
        assert report is not None
        views += [view for view in report.views() if view.startswith("marts.")]
    streams = {each for name in (*OURS, "logistics_weekly_digest") for each in streams_of(name)}
    with fresh_database(server_home, migrated, "logistics") as connect:
        job_scene.build(connect, list(dict.fromkeys(views)), sorted(streams))
        yield connect


@pytest.fixture
def slack(stage: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackFake]:
    """Slack, and a morning at which nothing was told yet; marts without a row."""
    with job_scene.morning(stage, tmp_path, monkeypatch) as fake:
        with stage() as connection:
            connection.execute("truncate metrics.fct_metric_daily")
            connection.commit()
        yield fake


def later(job: str, stage: Connect, monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """The clock at `moment`, the job's sources complete up to then."""
    monkeypatch.setattr(clock, "now", lambda: moment)
    with stage() as connection:
        job_scene.fresh(connection, streams_of(job), moment)
        connection.commit()


def receipt(connect: Connect, job: str) -> dict[str, Any]:
    from psycopg.rows import dict_row

    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select * from ops.receipts where job = %s order by started_at desc limit 1", (job,)
        ).fetchone()
    assert found is not None
    return found


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.job)
def test_it_speaks_once_of_what_it_must(scene: Scene, stage: Connect, slack: SlackFake) -> None:
    job_scene.put(stage, scene.speaks)
    job_scene.run(scene.job)
    (message,) = slack.posts()
    told = job_scene.texts(message)
    assert [each for each in scene.holds if each not in told] == [], told
    assert [each for each in scene.lacks if each in told] == [], told
    job_scene.run(scene.job)
    assert len(slack.posts()) == 1


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.job)
def test_it_is_silent_with_a_receipt(scene: Scene, stage: Connect, slack: SlackFake) -> None:
    job_scene.put(stage, scene.quiet)
    said = job_scene.run(scene.job)
    assert said is not None and said["state"] == "silent" and slack.posts() == []
    held = receipt(stage, scene.job)
    assert held["checked"] > 0 and held["breached"] == 0 and held["messages"] == 0, held


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.job)
def test_later_only_what_changed_is_told(
    scene: Scene, stage: Connect, slack: SlackFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_scene.put(stage, scene.speaks)
    job_scene.run(scene.job)
    later(scene.job, stage, monkeypatch, MORNING + 7 * DAY if scene.again else MORNING + DAY)
    job_scene.run(scene.job)
    assert len(slack.posts()) == (2 if scene.again else 1)
    if scene.changed:
        job_scene.put(stage, scene.changed)
        later(scene.job, stage, monkeypatch, MORNING + 2 * DAY)
        job_scene.run(scene.job)
        assert len(slack.posts()) == 2
    # What was gone and is back is news again; a worklist is told while there is work.
    if not scene.again:
        job_scene.put(stage, {mart: [] for mart in (*scene.speaks, *scene.changed)})
        later(scene.job, stage, monkeypatch, MORNING + 3 * DAY)
        job_scene.run(scene.job)
        job_scene.put(stage, scene.speaks)
        later(scene.job, stage, monkeypatch, MORNING + 4 * DAY)
        job_scene.run(scene.job)
        assert len(slack.posts()) == 3


def test_a_slow_day_is_told_once(stage: Connect, slack: SlackFake, monkeypatch: pytest.MonkeyPatch) -> None:
    with stage() as connection:
        connection.execute(
            "insert into metrics.fct_metric_daily (metric_id, date, dimension, dimension_value, value, tie_out)"
            " values ('order_to_ship_hours', %s, 'all', 'all', 31, 'matched'),"
            " ('order_to_ship_hours', %s, 'channel', 'web', 99, 'matched')",
            (YESTERDAY, YESTERDAY),
        )
        connection.commit()
    job_scene.run("fulfillment_tracker")
    later("fulfillment_tracker", stage, monkeypatch, MORNING + timedelta(hours=2))
    job_scene.run("fulfillment_tracker")
    (message,) = slack.posts()
    told = job_scene.texts(message)
    assert "31 h from order to parcel" in told and "99 h" not in told


def test_later_messages_of_a_day_answer_its_first(
    stage: Connect, slack: SlackFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_scene.put(stage, {"fct_inventory_position": [SKU]})
    job_scene.run("inventory_watchdog")
    job_scene.put(stage, {"fct_inventory_position": [SKU, of(SKU, sku="NB-B")]})
    later("inventory_watchdog", stage, monkeypatch, MORNING + timedelta(hours=5))
    job_scene.run("inventory_watchdog")
    first, second = slack.posts()
    assert "thread_ts" not in first and second["thread_ts"]
    assert "🆕 " in job_scene.texts(second) and "1 new" in job_scene.texts(second)
    later("inventory_watchdog", stage, monkeypatch, datetime(2026, 11, 21, 10, 0, tzinfo=NEW_YORK))
    job_scene.put(stage, {"fct_inventory_position": [SKU, of(SKU, sku="NB-B"), of(SKU, sku="NB-C")]})
    job_scene.run("inventory_watchdog")
    assert "thread_ts" not in slack.posts()[2]


@pytest.mark.parametrize("job", OURS)
def test_old_data_are_no_reason_to_speak_and_no_proof_of_silence(
    job: str, stage: Connect, slack: SlackFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = next(scene for scene in SCENES if scene.job == job)
    job_scene.put(stage, scene.speaks)
    with stage() as connection:
        job_scene.fresh(connection, streams_of(job), MORNING - 3 * DAY)
        connection.commit()
    try:
        said = job_scene.run(job)
        assert said is not None and said["state"] == "silent" and slack.posts() == []
        assert receipt(stage, job)["unknown"] > 0
        with stage() as connection:
            told = connection.execute("select count(*) from ops.briefings_told where job = %s", (job,)).fetchone()
        assert told == (0,)
    finally:
        later(job, stage, monkeypatch, MORNING)


def test_the_weekly_digest_is_a_thread_and_says_what_it_does_not_know(stage: Connect, slack: SlackFake) -> None:
    job_scene.put(stage, {"fct_purchase_orders_open": [PURCHASE]})
    job_scene.run("logistics_weekly_digest")
    first, *rest = slack.posts()
    assert "thread_ts" not in first and all(message["thread_ts"] for message in rest)
    told = job_scene.texts([first, *rest])
    assert "13–19 November" in told and "unknown" in told and "PO-2272" in told
    assert "No SKU is critical or at warning." in told


def test_every_one_is_there_at_its_time() -> None:
    """The table of the mission, 7 to 14, and the event-driven four."""
    wanted = {
        "nightly_collection": ("coordinator", "0 22 * * *"), "erp_shop_reconciliation": ("coordinator", "0 23 * * *"),
        "division_digest": ("coordinator", "0 16 * * 5"), "inventory_watchdog": ("logistics", "0 10,14,18,22 * * *"),
        "late_orders": ("logistics", "0 8 * * *"), "stock_replenishment": ("logistics", "0 19 * * 1"),
        "fulfillment_tracker": ("logistics", "0 */2 * * *"), "logistics_weekly_digest": ("logistics", "0 20 * * 0"),
    }  # fmt: skip
    jobs = get_fleet().jobs
    assert {name: (jobs[name].bot, jobs[name].cron) for name in wanted} == wanted
    assert {name for name, job in jobs.items() if job.event} == {
        "order_anomaly", "ticket_triage", "custom_orders", "vendor_drafts",
    }  # fmt: skip
    assert len(get_fleet().scheduled()) == 35
    assert jobs["division_digest"].channel == "executive" and jobs["late_orders"].channel == "team"
    assert jobs["nightly_collection"].everything() and not jobs["nightly_collection"].posts
