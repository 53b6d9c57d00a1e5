"""The marketing and product marts over what the connectors land from the sandbox: what was planted shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.company.campaigns import campaigns_of, mailed_orders
from sandbox.company.catalogue import ZONE
from sandbox.company.model import Company, Incident
from sandbox.company.planted import planted
from sandbox.company.worktables import BARREN_CHANNEL, worktables_of
from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse

TODAY = NOW.astimezone(ZONE).date()
MODELS = (
    "+marts.marketing", "+marts.product", "+metrics.marketing", "+metrics.product",
)  # fmt: skip
NEEDED = {
    "shopify": ("shop", "orders", "products", "discounts"),
    "klaviyo": ("accounts", "metrics", "campaigns", "flows", "events", "metric_aggregates", "campaign_values"),
    "airtable": (
        "content_calendar", "sample_requests", "product_reviews", "competitor_prices", "search_rankings",
        "paid_media_spend",
    ),
    "amazon": ("listings", "account_health"),
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World) -> dict[str, dict[str, dict[str, Any]]]:
    sources: dict[str, Any] = {
        "shopify": own.shopify(), "klaviyo": own.klaviyo(), "airtable": own.airtable(), "amazon": own.amazon(),
    }  # fmt: skip
    return {vendor: {name: read(sources[vendor], name).payloads for name in names} for vendor, names in NEEDED.items()}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, dict[str, Any]]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for vendor, streams in landed.items():
        for name, payloads in streams.items():
            made.land(vendor, name, payloads.values(), NOW, ids=payloads)
    made.build("--indirect-selection", "cautious", "--select", *MODELS)
    return made


def incident(company: Company, kind: str) -> Incident:
    """The latest one of its kind that has begun."""
    return [each for each in planted(company) if each.kind == kind and each.start <= TODAY][-1]


def days_of(each: Incident) -> list[date]:
    return [each.start + timedelta(days=number) for number in range((each.end - each.start).days + 1)]


def test_media_is_what_was_entered(warehouse: DbtWarehouse, company: Company) -> None:
    told: Counter[date] = Counter()
    for each in worktables_of(company).media:
        told[each.day] += each.spend  # type: ignore[assignment]
    assert {day: value for day, value in warehouse.candidate("ad_spend").items() if value is not None} == told
    # Entered at six in the morning: yesterday's spend is known to a sync at six in New York, today's is not.
    assert max(told) == TODAY - timedelta(days=2) or TODAY - timedelta(days=1) in told


def test_spend_that_brings_nothing_shows(warehouse: DbtWarehouse, company: Company) -> None:
    barren = incident(company, "spend_without_conversion")
    spend = warehouse.candidate("spend_without_conversion", "channel", BARREN_CHANNEL)
    for day in days_of(barren):
        assert spend[day] >= 30 and warehouse.candidate("roas", "channel", BARREN_CHANNEL)[day] == 0
    flagged = warehouse.rows(
        "select date from candidate_marts.fct_paid_media_daily where channel = %s and is_barren", BARREN_CHANNEL
    )
    assert {day for (day,) in flagged} >= set(days_of(barren))


def test_a_price_cut_shows(warehouse: DbtWarehouse, company: Company) -> None:
    cut = incident(company, "competitor_price_cut")
    moves = warehouse.rows(
        "select seen_day, round(change_share, 1), is_undercut from candidate_marts.fct_competitor_price_moves"
        " where competitor = %s and sku = %s and is_cut",
        cut.expected["competitor"], cut.expected["sku"],
    )  # fmt: skip
    assert any(cut.start <= day <= cut.end and share == Decimal("-0.3") and under for day, share, under in moves)
    assert warehouse.candidate("competitor_price_cuts")[moves[0][0]] >= 1
    undercuts = warehouse.candidate("competitor_undercuts", "competitor", cut.expected["competitor"])
    assert undercuts[cut.start + timedelta(days=7)] >= 1


def test_the_calendar_misses_what_was_planted(warehouse: DbtWarehouse, company: Company) -> None:
    for kind, status in (("content_entry_missing", "missing"), ("content_entry_misdated", "misdated")):
        names = {each.expected["campaign"] for each in planted(company) if each.kind == kind}
        found = warehouse.rows(
            "select campaign_name, sent_day from candidate_marts.fct_campaigns where calendar_status = %s", status
        )
        assert {name for name, _ in found} == names != set()
        by_day = warehouse.candidate("campaigns_off_calendar", "calendar_status", status)
        assert by_day == Counter(day for _, day in found)


def test_orders_lost_and_doubled_on_the_way_to_the_mail_system_show(warehouse: DbtWarehouse, company: Company) -> None:
    story = campaigns_of(company)
    web = {order.id for order in company.orders if order.channel == "web"}
    mailed = {order.id: order.created_at.astimezone(ZONE).date() for order in mailed_orders(company)}
    missing, doubled = incident(company, "mail_events_missing"), incident(company, "mail_events_doubled")
    coverage = warehouse.candidate("email_order_coverage")
    assert coverage[missing.start] == 0
    assert min(value for day, value in coverage.items() if day not in (missing.start, TODAY)) > Decimal("0.8")
    twice = warehouse.candidate("email_orders_doubled")
    assert twice[doubled.start] == sum(1 for each in story.doubled if mailed[each] == doubled.start and each in web)
    assert sum(twice.values()) == twice[doubled.start]


def test_campaigns_bring_what_the_company_says(warehouse: DbtWarehouse, company: Company) -> None:
    story = campaigns_of(company)
    sent = {each.id: each for each in story.campaigns if each.sent}
    rows = warehouse.rows(
        "select campaign_id, orders, revenue, vendor_orders, vendor_revenue, delivered, openers, clickers,"
        " open_rate, discount_code, channel, sent_day from candidate_marts.fct_campaigns"
    )
    assert {row[0] for row in rows} == set(sent)
    net = {order.id: order.gross - order.discount for order in company.orders}
    for key, orders, revenue, said_orders, said_revenue, delivered, openers, clickers, rate, code, channel, _ in rows:
        told = [each for each in sent[key].order_ids if each not in story.missing]
        assert abs(orders - len(told)) <= 2, "some are heard of only later"
        if orders == len(told):
            assert revenue == sum(net[each] for each in told)
        if not set(told) & story.doubled:
            assert said_orders == orders and said_revenue >= revenue
        else:
            assert said_orders > orders, "the vendor counts twice what it was told twice"
        assert code == sent[key].discount_code
        assert (openers is None) == (channel == "sms") and clickers <= delivered
        assert rate is None or 0 < rate < 1
    assert sum(warehouse.candidate("campaigns_sent").values()) == len(sent)
    whole = warehouse.candidate("email_open_rate")
    assert all(rate is None or Decimal("0.2") < rate < Decimal("0.7") for rate in whole.values())


def test_the_account_at_risk_and_listings_show(warehouse: DbtWarehouse, company: Company) -> None:
    assert incident(company, "account_at_risk").end >= TODAY
    assert warehouse.candidate("marketplace_account_at_risk")[TODAY] == 1
    assert warehouse.one(
        "select bad_metrics from candidate_marts.fct_marketplace_account_health where date = %s", TODAY
    ) == ["validTrackingRate"]
    suppressed = {
        each.entity
        for each in planted(company)
        if each.kind == "listing_suppressed" and each.start <= TODAY <= each.end
    }
    assert warehouse.candidate("suppressed_listings") == {TODAY: len(suppressed)}
    found = warehouse.rows("select distinct sku from candidate_marts.fct_listing_issues_open where is_suppressing")
    assert {f"sku:{sku}" for (sku,) in found} == suppressed
    assert warehouse.candidate("listings_with_errors")[TODAY] >= 1


def test_work_that_waits_is_listed(warehouse: DbtWarehouse, company: Company) -> None:
    told = worktables_of(company)
    open_items = {e.title: e for e in told.content if e.status not in ("Published", "Dropped")}
    rows = warehouse.rows("select title, is_overdue, is_unowned from candidate_marts.fct_content_items_open")
    assert len(rows) == sum(1 for e in told.content if e.status not in ("Published", "Dropped"))
    overdue = sum(1 for e in told.content if e.title in open_items and e.status not in ("Published", "Dropped")
                  and e.publish_at is not None and e.publish_at < NOW)  # fmt: skip
    assert sum(1 for _, late, _ in rows if late) == overdue
    assert warehouse.candidate("content_items_overdue") == {TODAY: overdue}
    late = warehouse.candidate("samples_overdue")
    for day in (TODAY, TODAY - timedelta(days=9)):
        assert late.get(day, 0) == sum(
            1
            for each in told.samples
            if each.requested_on <= day and each.due_on < day and (each.shipped_on is None or each.shipped_on > day)
        )
    assert warehouse.one("select count(*) from candidate_marts.fct_sample_requests_open where is_overdue") == late.get(
        TODAY, 0
    )


def test_reviews_and_ranks_are_those_of_the_tables(warehouse: DbtWarehouse, company: Company) -> None:
    told = worktables_of(company)
    days = Counter(each.written_at.astimezone(ZONE).date() for each in told.reviews)
    assert warehouse.candidate("reviews") == days
    low = Counter(each.written_at.astimezone(ZONE).date() for each in told.reviews if each.rating <= 2)
    assert {day: value for day, value in warehouse.candidate("low_reviews").items() if value} == low
    monday = date(2024, 12, 2)
    places = [each.position or 101 for each in told.rankings if each.checked_on == monday]
    for day in (monday, TODAY):
        assert warehouse.candidate("average_search_rank")[day] == round(Decimal(sum(places)) / len(places), 8)
        top = sum(1 for place in places if place <= 10)
        assert warehouse.candidate("search_top10_share")[day] == round(Decimal(top) / len(places), 8)
    assert warehouse.one("select count(*) from candidate_marts.fct_search_rankings_latest") == len(places)


def test_nothing_of_people_is_in_these_marts(warehouse: DbtWarehouse) -> None:
    columns = warehouse.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'candidate_marts'"
        " and column_name in ('owner_email', 'owner_name', 'author', 'body', 'email', 'sender')"
    )
    assert columns == []


def test_a_late_correction_moves_its_day_alone(
    warehouse: DbtWarehouse, landed: dict[str, dict[str, dict[str, Any]]]
) -> None:
    query = "select date, channel, xmin::text from candidate_marts.fct_paid_media_daily"
    before = {(day, channel): version for day, channel, version in warehouse.rows(query)}
    spend = landed["airtable"]["paid_media_spend"]
    key = next(each for each in sorted(spend) if spend[each]["channel"] == "Meta Ads")
    warehouse.land("airtable", "paid_media_spend", [{**spend[key], "spend": "0.07"}], NOW, ids=[key])
    warehouse.run("--select", "stg_airtable__paid_media_spend", "marts.marketing")
    after = {(day, channel): version for day, channel, version in warehouse.rows(query)}
    assert [each for each in after if after[each] != before.get(each)] == [
        (date.fromisoformat(spend[key]["spent_on"][:10]), "Meta Ads")
    ]
