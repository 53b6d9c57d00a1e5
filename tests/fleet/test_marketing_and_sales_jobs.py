"""The jobs of marketing and sales, each by its entry in fleet.yaml: it speaks when it must and says what it must; where
there is nothing to say it is silent and its receipt says what it looked at; what it told it does not tell again.

The marts are as their contracts have them, filled by hand, so that everybody sees what is to be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from ops_platform import clock
from ops_platform.fleet import get_fleet
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.delivery.slack_fake import SlackFake
from tests.fleet import job_scene
from tests.fleet.job_scene import MORNING, Rows

DAY = timedelta(days=1)
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
DEAL = {"deal_id": "1", "deal": "Soundhaus", "owner": "Jonas", "stage": "quote", "position": 4, "amount": 1234,
        "weighted_amount": 500, "is_stale": False, "is_at_risk": False, "is_closing_this_week": False,
        "days_inactive": 1, "missing_fields": 0}  # fmt: skip
LEAD = {"lead_id": "51", "lead": "Praia Hotels", "tier": "warm", "score": 60, "touches": 1, "touches_due": 1,
        "is_touch_overdue": False, "age_days": 9, "days_quiet": 2}  # fmt: skip
CAMPAIGN = {"campaign_id": "c", "campaign_name": "Newsletter 7", "channel": "email", "sent_day": date(2026, 11, 16),
            "judged_day": YESTERDAY, "delivered": 1000, "orders": 9, "expected_orders": 8, "revenue": 900,
            "expected_revenue": 800, "factor": 1.1, "verdict": "usual"}  # fmt: skip
CHANNEL = {"channel": "Meta Ads", "last_day": YESTERDAY, "spend": 700, "revenue": 1750, "roas": 2.5,
           "usual_roas": 2.4, "finding": "fair return"}  # fmt: skip
ACCOUNT = {"marketplace_id": "A", "marketplace": "Amazon US", "is_current": True, "account_status": "normal",
           "rating_status": "great", "is_at_risk": False, "reported_at": MORNING - DAY}  # fmt: skip
KEYWORD = {"search_ranking_id": "k", "keyword": "4k webcam", "search_position": 12, "previous_position": 13,
           "search_volume": 1000, "is_current": True, "is_move": False, "movement": "up"}  # fmt: skip
STAGE = {"stage": "quote", "position": 4, "open_deals": 3, "pipeline_value": 3000, "weighted_value": 1200,
         "expected_days": 10, "deals_over_expected": 0}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Marts in which a job must speak and what its message must hold, and lack; marts in which it must not. `again`: it
    is a worklist, told at every tick while there is work; else the same marts are no news at the next tick."""

    job: str
    speaks: Rows
    holds: tuple[str, ...]
    quiet: Rows = field(default_factory=dict)
    again: bool = False
    lacks: tuple[str, ...] = ()


def of(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


SCENES = (
    Scene(
        "review_monitor",
        {"fct_low_reviews": [
            {"review_id": "a", "review_day": YESTERDAY, "rating": 1, "product_name": "Arc One", "headline": "Hm.",
             "excerpt": "Left side went silent. <!channel> http://evil.example", "is_verified": True},
            {"review_id": "b", "review_day": date(2026, 10, 1), "rating": 1, "product_name": "Old One"},
        ]},
        ("Arc One", "1 ★", "Left side went silent.", "verified buyer"),
        {"fct_low_reviews": [{"review_id": "b", "review_day": date(2026, 10, 1), "rating": 1, "product_name": "Old"}]},
        lacks=("Old One", "<!channel>", "evil.example"),
    ),
    Scene(
        "campaign_performance",
        {"fct_campaign_results": [of(CAMPAIGN, verdict="winner", revenue=2097), of(CAMPAIGN, campaign_id="d")],
         "fct_ad_channels_week": [of(CHANNEL, channel="TikTok Ads", roas=0.74, finding="days without any conversion",
                                     barren_spend=257.48), CHANNEL]},
        ("Winners", "Newsletter 7", "$2,097", "usual $800", "TikTok Ads", "$257.48", "ROAS 0.7"),
        {"fct_campaign_results": [CAMPAIGN], "fct_ad_channels_week": [CHANNEL]},
        lacks=("Meta Ads",),
    ),
    Scene(
        "competitor_watch",
        {"fct_competitor_price_moves": [
            {"competitor_price_id": "p", "competitor": "Sonora", "sku": "NB-BUDP-BLK", "seen_day": YESTERDAY,
             "previous_price": 165.99, "price": 111.21, "change_share": -0.33, "own_price": 149, "is_undercut": True},
        ]},
        ("Sonora", "NB-BUDP-BLK", "$165.99", "$111.21", "−33%", "undercuts us"),
        {"fct_competitor_price_moves": [
            {"competitor_price_id": "o", "competitor": "Sonora", "seen_day": date(2026, 10, 1), "change_share": -0.5},
        ]},
    ),
    Scene(
        "seo_pulse",
        {"fct_search_rankings_latest": [
            of(KEYWORD, is_move=True, movement="out of the first ten", search_position=14, previous_position=9),
            of(KEYWORD, search_ranking_id="x", keyword="stale word", is_move=True, is_current=False),
        ]},
        ("4k webcam", "Out of the first ten", "from place 9", "to place 14"),
        {"fct_search_rankings_latest": [KEYWORD]},
        lacks=("stale word",),
    ),
    Scene(
        "content_calendar",
        {"fct_content_items_open": [
            {"content_entry_id": "a", "title": "How we tune", "channel": "Blog", "publish_day": date(2026, 11, 17),
             "days_overdue": 3, "needs": "overdue", "is_overdue": True, "is_unowned": False, "owner": "Theo"},
            {"content_entry_id": "b", "title": "Care", "channel": "Blog", "publish_day": date(2026, 11, 30),
             "needs": "unowned", "is_overdue": False, "is_unowned": True},
        ]},
        ("Overdue: 1", "How we tune", "3 days late", "Nobody owns it: 1", "Care"),
        {"fct_content_items_open": [{"content_entry_id": "c", "title": "Fine", "needs": None, "is_overdue": False}]},
        again=True,
    ),
    Scene(
        "marketplace_health",
        {"fct_marketplace_accounts": [of(ACCOUNT, account_status="at risk", is_at_risk=True,
                                         failing="valid tracking rate", valid_tracking_rate=0.936)],
         "fct_listings_in_trouble": [
             {"sku": "NB-ARC1", "product_name": "Arc One", "trouble": "not found by search", "is_active": True,
              "is_suppressed": False, "errors": 1},
             {"sku": "NB-HALO", "product_name": "An alert's", "trouble": "suppressed", "is_active": True,
              "is_suppressed": True, "errors": 1},
             {"sku": "OLD", "product_name": "Gone", "trouble": "errors", "is_active": False, "is_suppressed": False,
              "errors": 1}]},
        ("Amazon US", "account at risk", "valid tracking rate", "94%", "Arc One", "not found by search"),
        {"fct_marketplace_accounts": [ACCOUNT], "fct_listings_in_trouble": []},
        again=True,
        lacks=("Gone", "An alert's"),
    ),
    Scene(
        "lead_scoring",
        {"fct_leads_open": [of(LEAD, tier="hot", score=97), of(LEAD, lead_id="52", lead="Lukewarm")]},
        ("Praia Hotels", "score 97", "record 51"),
        {"fct_leads_open": [LEAD]},
        lacks=("Lukewarm",),
    ),
    Scene(
        "lead_followup",
        {"fct_leads_open": [
            of(LEAD, is_touch_overdue=True, touches=1, touches_due=2, days_overdue=2),
            of(LEAD, lead_id="52", lead="Ancient", is_touch_overdue=True, age_days=300, days_overdue=286),
        ]},
        ("Praia Hotels", "2 days past its touch", "touches 1", "due 2"),
        {"fct_leads_open": [LEAD]},
        again=True,
        lacks=("Ancient",),
    ),
    Scene(
        "pipeline_monitor",
        {"fct_deals_open": [
            of(DEAL, is_closing_this_week=True, expected_close_day=date(2026, 11, 22)),
            of(DEAL, deal_id="2", deal="Lone Star", is_at_risk=True, risk="no contact or move", days_inactive=15),
            of(DEAL, deal_id="3", deal="Long Gone", is_at_risk=True, risk="no contact or move", days_inactive=400),
        ]},
        ("Soundhaus", "$1,234", "Sun 22 Nov", "Lone Star", "quiet for 15 days"),
        {"fct_deals_open": [DEAL]},
        again=True,
        lacks=("Long Gone",),
    ),
    Scene(
        "outbound_report",
        {"fct_outreach_by_owner": [
            {"owner_id": "7", "owner": "Aisha", "emails_yesterday": 5, "calls_yesterday": 2, "reached_yesterday": 1,
             "replies_yesterday": 3, "was_active_yesterday": True, "emails_7d": 30, "replies_7d": 11,
             "touches_7d": 41, "touches_before_7d": 44, "reply_rate_7d": 0.366667},
        ]},
        ("Aisha", "5 written", "2 called", "1 reached", "3 answered", "41 in a week", "37% of e-mails answered"),
        {"fct_outreach_by_owner": [{"owner_id": "7", "owner": "Aisha", "emails_yesterday": 0, "calls_yesterday": 0,
                                    "replies_yesterday": 0, "was_active_yesterday": False, "touches_7d": 41}]},
        again=True,
    ),
    Scene(
        "promo_monitor",
        {"fct_discount_code_use": [
            {"code": "FALL26", "orders": 3, "usual_orders": 0, "discount_amount": 60, "sales_amount": 500,
             "discount_share": 0.1, "ended_day": date(2026, 11, 10), "last_used_day": YESTERDAY,
             "finding": "used after its end", "is_outside_band": True},
        ]},
        ("FALL26", "used after its end", "used 3 times", "$60.00"),
        {"fct_discount_code_use": [
            {"code": "WELCOME10", "orders": 27, "usual_orders": 22, "discount_amount": 486, "sales_amount": 4059,
             "finding": "as usual", "is_outside_band": False},
        ]},
        again=True,
    ),
    Scene(
        "sample_requests",
        {"fct_sample_requests_open": [
            {"sample_request_id": "s", "reference": "SR-1", "company_name": "Fjord", "sku": "NB-WAVE", "quantity": 3,
             "status": "Preparing", "is_overdue": True, "days_overdue": 5, "is_unowned": True},
            {"sample_request_id": "t", "company_name": "In time", "is_overdue": False, "is_unowned": False},
        ]},
        ("Fjord", "NB-WAVE", "3 units", "5 days late", "nobody owns it"),
        {"fct_sample_requests_open": [
            {"sample_request_id": "t", "company_name": "In time", "is_overdue": False, "is_unowned": False}]},
        again=True,
        lacks=("In time",),
    ),
    Scene(
        "project_status",
        {"fct_projects_open": [
            {"project_id": "a", "project": "Buds: Launch", "rag": "red", "severity": 1, "reason": "long overdue",
             "days_overdue": 12, "is_unowned": False, "owner": "Mei"},
            {"project_id": "b", "project": "Arc: Pilot", "rag": "green", "severity": 3, "is_unowned": False},
        ]},
        ("Red", "Buds: Launch", "long overdue", "12 days past due", "Mei"),
        {"fct_projects_open": [
            {"project_id": "b", "project": "Arc: Pilot", "rag": "green", "severity": 3, "is_unowned": False}]},
        again=True,
        lacks=("Arc: Pilot",),
    ),
    Scene(
        "deal_hygiene",
        {"fct_deals_open": [
            of(DEAL, is_stale=True, staleness="critical", days_inactive=418),
            of(DEAL, deal_id="2", deal="Iberia", missing_fields=1, missing_field_list="close date"),
        ]},
        ("30 days and more: 1", "Soundhaus", "418 days", "Iberia", "lacks close date"),
        {"fct_deals_open": [DEAL]},
        again=True,
    ),
)  # fmt: skip
REGULAR = ("pipeline_report", "b2b_pipeline", "marketing_weekly_digest", "sales_weekly_digest")
CONTEXTS = ("marketing_context", "sales_context")
OURS = (*(scene.job for scene in SCENES), *REGULAR, *CONTEXTS, "pipeline_refresh")


@pytest.fixture(scope="module")
def stage(server_home: Any, migrated: str) -> Iterator[Connect]:
    """One database with the marts of all these jobs; their sources are fresh."""
    reports = [report for name in OURS if (report := get_fleet().jobs[name].report) is not None]
    views = list(dict.fromkeys(view for report in reports for view in report.views()))
    streams = {each for report in reports for listing in report.listings() for each in listing.sources}
    with fresh_database(server_home, migrated, "jobs") as connect:
        job_scene.build(connect, views, sorted(streams))
        yield connect


@pytest.fixture
def slack(stage: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackFake]:
    """Slack, and a morning at which nothing was told yet; marts without a row."""
    with job_scene.morning(stage, tmp_path, monkeypatch) as fake:
        with stage() as connection:
            job_scene.fresh(connection, sorted({each for name in OURS if get_fleet().jobs[name].report is not None
                                                for each in sources_of(name)}), MORNING)  # fmt: skip
            connection.commit()
        yield fake


def receipt(connect: Connect, job: str) -> dict[str, Any]:
    """The newest receipt of the job."""
    from psycopg.rows import dict_row

    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select * from ops.receipts where job = %s order by started_at desc limit 1", (job,)
        ).fetchone()
    assert found is not None
    return found


def sources_of(job: str) -> list[str]:
    report = get_fleet().jobs[job].report
    assert report is not None
    return sorted({each for listing in report.listings() for each in listing.sources})


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.job)
def test_it_speaks_of_what_it_must_a_worklist_again_and_news_never(
    scene: Scene, stage: Connect, slack: SlackFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_scene.put(stage, scene.speaks)
    said = job_scene.run(scene.job)
    (message,) = slack.posts()
    told = job_scene.texts(message)
    assert [each for each in scene.holds if each not in told] == [], told
    assert [each for each in scene.lacks if each in told] == [], told
    assert said is not None and said.get("state") != "silent"
    # The next tick: tomorrow, or in a week.
    cron = get_fleet().jobs[scene.job].cron
    later = MORNING + (DAY if cron is not None and cron.endswith("* *") else 7 * DAY)
    monkeypatch.setattr(clock, "now", lambda: later)
    with stage() as connection:
        job_scene.fresh(connection, sources_of(scene.job), later)
        connection.commit()
    job_scene.run(scene.job)
    assert len(slack.posts()) == (2 if scene.again else 1)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.job)
def test_it_is_silent_with_a_receipt(scene: Scene, stage: Connect, slack: SlackFake) -> None:
    job_scene.put(stage, scene.quiet)
    said = job_scene.run(scene.job)
    assert said is not None and said["state"] == "silent" and slack.posts() == []
    held = receipt(stage, scene.job)
    assert held["checked"] > 0 and held["messages"] == 0 and held["status"] == "succeeded", held


@pytest.mark.parametrize("name", ["review_monitor", "sample_requests", "pipeline_monitor"])
def test_old_data_are_no_reason_to_speak_and_no_proof_of_silence(name: str, stage: Connect, slack: SlackFake) -> None:
    """Sources that are three days old: nothing is concluded, and the receipt says that it was not known."""
    (scene,) = [each for each in SCENES if each.job == name]
    job_scene.put(stage, scene.speaks)
    with stage() as connection:
        job_scene.fresh(connection, sources_of(name), MORNING - 3 * DAY)
        connection.commit()
    said = job_scene.run(name)
    assert said is not None and said["state"] == "silent" and slack.posts() == []
    assert receipt(stage, name)["unknown"] > 0


def test_dagster_runs_the_entry_and_the_same_tick_tells_nothing_twice(stage: Connect, slack: SlackFake) -> None:
    job_scene.put(stage, SCENES[0].speaks)
    said = job_scene.materialized(SCENES[0].job)
    assert said is not None and said.get("state") != "silent" and len(slack.posts()) == 1
    job_scene.materialized(SCENES[0].job)
    assert len(slack.posts()) == 1


def test_a_marketplace_account_without_a_report_is_told_as_unknown(stage: Connect, slack: SlackFake) -> None:
    stale = of(ACCOUNT, is_current=False, account_status="unknown", rating_status=None, is_at_risk=None)
    job_scene.put(stage, {"fct_marketplace_accounts": [stale], "fct_listings_in_trouble": []})
    job_scene.run("marketplace_health")
    (message,) = slack.posts()
    assert "whose state is unknown" in job_scene.texts(message) and "No account is at risk." in job_scene.texts(message)


def test_the_pipeline_report_adds_up_its_stages(stage: Connect, slack: SlackFake) -> None:
    rows = [STAGE, of(STAGE, stage="contract", position=7, open_deals=2, pipeline_value=5000, weighted_value=4500)]
    job_scene.put(stage, {"fct_pipeline_stages": rows})
    job_scene.run("pipeline_report")
    (message,) = slack.posts()
    told = job_scene.texts(message)
    for expected in ("5 open deals", "$8,000", "$5,700", "quote", "contract"):
        assert expected in told, told
    assert told.index("quote") < told.rindex("contract")


def test_wholesale_velocity_is_the_last_reading(stage: Connect, slack: SlackFake) -> None:
    reading = {"date": TODAY, "open_deals": 107, "win_rate": 0.625, "mean_won_value": 5664, "mean_cycle_days": 33.42,
               "value_per_day": 11334}  # fmt: skip
    job_scene.put(stage, {"fct_pipeline_velocity_daily": [reading, of(reading, date=YESTERDAY, open_deals=3)],
                          "fct_pipeline_stages": [of(STAGE, deals_over_expected=2)]})  # fmt: skip
    job_scene.run("b2b_pipeline")
    (message,) = slack.posts()
    told = job_scene.texts(message)
    for expected in ("107 open", "63% won", "$5,664", "33 days", "2 there too long", "of 3"):
        assert expected in told, told


@pytest.mark.parametrize("job", ["marketing_weekly_digest", "sales_weekly_digest"])
def test_a_digest_is_a_thread_and_says_what_it_does_not_know(job: str, stage: Connect, slack: SlackFake) -> None:
    """A week in which no metric has a value: the digest comes all the same, and says that they are unknown."""
    job_scene.run(job)
    first, *rest = slack.posts()
    assert "thread_ts" not in first and rest
    assert all(message["thread_ts"] for message in rest)
    assert "unknown" in job_scene.texts([first, *rest])


@pytest.mark.parametrize("job", CONTEXTS)
def test_a_context_is_kept_and_told_to_nobody(job: str, stage: Connect, slack: SlackFake) -> None:
    said = job_scene.run(job)
    assert said is None and slack.posts() == []
    with stage() as connection:
        kept = connection.execute("select count(*) from ops.documents where kind = %s", (job,)).fetchone()
    assert kept == (1,)


def test_the_afternoon_refresh_has_nothing_to_say_and_reads_the_pipeline() -> None:
    job = get_fleet().jobs["pipeline_refresh"]
    assert not job.posts and job.collects and "marts.fct_deals_open" in job.reads


def test_every_one_of_the_21_is_there_at_its_time() -> None:
    """The table of the mission: job, bot, cron in company time."""
    wanted = {
        "marketing_context": "30 5 * * 1-5", "review_monitor": "0 9 * * *", "campaign_performance": "15 9 * * *",
        "competitor_watch": "0 10 * * *", "seo_pulse": "0 8 * * 1", "content_calendar": "30 8 * * 1-5",
        "marketplace_health": "0 7 * * *", "marketing_weekly_digest": "0 20 * * 0", "sales_context": "30 5 * * 1-5",
        "lead_scoring": "0 7 * * *", "lead_followup": "0 9 * * *", "pipeline_monitor": "0 9 * * 1-6",
        "pipeline_refresh": "0 15 * * 1-5", "outbound_report": "30 9 * * *", "pipeline_report": "0 14 * * 1,4",
        "b2b_pipeline": "0 9 * * 1", "promo_monitor": "15 9 * * 1", "sample_requests": "0 11 * * 1-5",
        "project_status": "0 13 * * 1,4", "deal_hygiene": "0 17 * * 5", "sales_weekly_digest": "0 20 * * 0",
    }  # fmt: skip
    jobs = get_fleet().jobs
    assert {name: jobs[name].cron for name in wanted} == wanted and set(OURS) == set(wanted)
    marketing = list(wanted)[:8]
    assert {name: jobs[name].bot for name in wanted} == {
        name: "marketing" if name in marketing else "sales" for name in wanted
    }
    assert {jobs[name].channel for name in wanted} == {"team"}


def test_what_they_show_is_in_the_marts_they_read() -> None:
    """Every column a list reads is one of its mart's contract, of a type its unit can show."""
    numbers = {"numeric", "integer", "bigint"}
    for name in OURS:
        report = get_fleet().jobs[name].report
        for listing in report.listings() if report is not None else ():
            columns = job_scene.contracts()[listing.view.partition(".")[2]]
            assert set(listing.read()) <= set(columns), (name, listing.name)
            for column in (*listing.columns, *listing.total):
                kind = columns[column.column]
                allowed = {"text": {"text"}, "flag": {"boolean"}, "date": {"date", "timestamptz"}}
                assert kind in allowed.get(column.unit, numbers), (name, listing.name, column.column)
        known = set(job_scene.metrics())
        assert set(report.metrics() if report is not None else ()) <= known, name
