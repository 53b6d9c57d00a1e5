"""The CRM's deals and tickets from the sandbox through the warehouse: the pipeline is that of the company on every day,
and what was planted shows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from sandbox.company import Company
from sandbox.company.crm import OPEN_STAGES, Crm, CrmDeal
from sandbox.company.outreach import build_outreach
from sandbox.company.satisfaction import build_satisfaction
from sandbox.hubspot.world import owner_id
from tests.connectors.conftest import NOW
from tests.warehouse.dbt_warehouse import DbtWarehouse

ZONE = ZoneInfo("America/New_York")
PARTS = (
    "+path:models/metrics/pipeline", "+path:models/metrics/support", "+path:models/marts/pipeline",
    "+path:models/marts/support",
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(crm_landed: DbtWarehouse) -> DbtWarehouse:
    crm_landed.build("--indirect-selection", "buildable", "--select", *PARTS)
    return crm_landed


def living(crm: Crm) -> list[CrmDeal]:
    return [deal for deal in crm.deals if deal.archived_at is None]


def day_of(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def stage_on(deal: CrmDeal, day: date) -> str | None:
    """Where the deal stood at the close of a day."""
    entered = [entry.stage for entry in deal.stages if day_of(entry.at) <= day]
    return entered[-1] if entered else None


def test_the_pipeline_of_every_day_is_the_company_s(warehouse: DbtWarehouse, crm: Crm) -> None:
    told = {
        (day, stage): count
        for day, stage, count in warehouse.rows("select date, stage, open_deals from marts.fct_pipeline_daily")
    }
    days = {day for day, _ in told}
    assert min(days) == min(day_of(deal.created_at) for deal in living(crm)) and max(days) == day_of(NOW)
    for day in [*sorted(days)[::7], max(days)]:
        for stage in OPEN_STAGES:
            expected = sum(stage_on(deal, day) == stage for deal in living(crm))
            assert told.get((day, stage), 0) == expected, (day, stage)


def test_the_forecast_of_today_agrees_with_the_deals(warehouse: DbtWarehouse) -> None:
    of_days = warehouse.rows(
        "select sum(open_deals), sum(pipeline_value), sum(weighted_value) from marts.fct_pipeline_daily"
        " where date = '2024-12-05'"
    )
    of_deals = warehouse.rows(
        "select count(*), sum(amount_company), sum(weighted_amount) from marts.fct_deals where not is_closed"
    )
    assert of_days == of_deals and of_deals[0][2] > 0


def test_won_and_lost_deals_are_the_company_s(warehouse: DbtWarehouse, company: Company, crm: Crm) -> None:
    won = [deal for deal in living(crm) if deal.stage == "won"]
    lost = [deal for deal in living(crm) if deal.stage == "lost"]
    assert warehouse.one("select sum(value) from candidate_metrics.deals_won where dimension = 'all'") == len(won)
    assert warehouse.one("select sum(value) from candidate_metrics.deals_lost where dimension = 'all'") == len(lost)
    amount = sum((deal.amount or Decimal(0) for deal in won), Decimal(0))
    assert warehouse.one("select sum(value) from candidate_metrics.won_value where dimension = 'all'") == amount
    ((numerator, denominator),) = warehouse.rows(
        "select sum(numerator), sum(denominator) from candidate_metrics.win_rate"
    )
    assert (numerator, denominator) == (len(won), len(won) + len(lost))
    # Planted: a won deal of ten times its invoice; the day's won value shows it.
    for incident in crm.incidents:
        if incident.kind == "crm_wrong_amount":
            value = warehouse.one(
                "select value from candidate_metrics.won_value where dimension = 'all' and date = %s", incident.start
            )
            assert value >= Decimal(str(incident.expected["amount"])) * 10


def test_deals_that_lack_something_are_counted(warehouse: DbtWarehouse, crm: Crm) -> None:
    lacking = [
        deal
        for deal in living(crm)
        if deal.stage in OPEN_STAGES
        and (deal.amount is None or deal.close_at is None or deal.owner is None or deal.company_id is None)
    ]
    value = "select value from candidate_metrics.{} where dimension = 'all'"
    assert warehouse.one(value.format("deals_missing_fields")) == len(lacking)
    stale = 0
    for deal in living(crm):
        last = max(at for at in (deal.last_contact_at, deal.stages[-1].at, deal.created_at) if at is not None)
        stale += deal.stage in OPEN_STAGES and (day_of(NOW) - day_of(last)).days >= 7
    assert warehouse.one(value.format("stale_deals")) == stale > 0


def test_open_deals_are_called_by_their_company_and_say_what_is_wrong(warehouse: DbtWarehouse, crm: Crm) -> None:
    companies = {company.id: company.name for company in crm.companies if company.archived_at is None}
    opened = {str(deal.id): deal for deal in living(crm) if deal.stage in OPEN_STAGES}
    rows = warehouse.rows(
        "select deal_id, deal, is_closing_this_week, is_at_risk, days_inactive, weighted_amount"
        " from marts.fct_deals_open"
    )
    assert {row[0] for row in rows} == set(opened)
    thursday = day_of(NOW)
    for identity, name, closing, at_risk, inactive, weighted in rows:
        deal = opened[identity]
        assert name == companies.get(deal.company_id or 0, f"Deal {identity}")
        due = None if deal.close_at is None else day_of(deal.close_at)
        assert closing == (due is not None and thursday <= due <= thursday + timedelta(days=3))
        if inactive >= 14 or (due is not None and due < thursday):
            assert at_risk
        assert (weighted == 0) == (deal.amount is None)


def test_outreach_is_what_people_wrote_and_said(warehouse: DbtWarehouse, company: Company) -> None:
    told = company.part(build_outreach)
    wednesday = day_of(NOW) - timedelta(days=1)
    people = {each.owner for each in told.emails} | {each.owner for each in told.calls}
    rows = {
        row[0]: row[1:]
        for row in warehouse.rows(
            "select owner_id, emails_sent, emails_bounced, replies, calls_made, calls_reached"
            " from marts.fct_outreach_daily where date = %s",
            wednesday,
        )
    }
    for person in people:
        sent = [each for each in told.emails if each.owner == person and day_of(each.at) == wednesday]
        sent = [each for each in sent if each.archived_at is None]
        calls = [each for each in told.calls if each.owner == person and day_of(each.at) == wednesday]
        expected = (
            sum(not each.incoming and each.status == "sent" for each in sent),
            sum(each.status == "bounced" for each in sent),
            sum(each.incoming for each in sent),
            sum(not each.incoming for each in calls),
            sum(not each.incoming and each.outcome == "connected" for each in calls),
        )
        assert rows.get("none" if person is None else owner_id(person), (0,) * 5) == expected, person
    assert any(sum(row) for row in rows.values())


def test_velocity_waits_for_a_quarter_of_closed_deals(warehouse: DbtWarehouse, crm: Crm) -> None:
    first = min(deal.close_at for deal in living(crm) if deal.stage in ("won", "lost") and deal.close_at is not None)
    days = warehouse.rows("select min(date), count(*) from marts.fct_pipeline_velocity_daily")
    if (day_of(NOW) - day_of(first)).days < 89:
        assert days == [(None, 0)]
    else:
        assert days[0][0] >= day_of(first) + timedelta(days=89)


def test_a_stage_converts_what_was_taken_further(warehouse: DbtWarehouse) -> None:
    rates = dict(
        warehouse.rows(
            "select dimension_value, sum(numerator) / sum(denominator) from candidate_metrics.stage_conversion"
            " where dimension = 'stage' group by 1"
        )
    )
    assert set(rates) == set(OPEN_STAGES)
    assert all(0 < rate <= 1 for rate in rates.values())


def test_tickets_are_the_company_s(warehouse: DbtWarehouse, crm: Crm) -> None:
    tickets = [ticket for ticket in crm.tickets if ticket.archived_at is None]
    opened = "select sum(opened), sum(closed), sum(responses) from marts.fct_support_daily"
    assert warehouse.rows(opened) == [
        (len(tickets), sum(t.stage == "closed" for t in tickets), sum(t.first_reply_at is not None for t in tickets))
    ]
    assert warehouse.one(
        "select value from candidate_metrics.tickets_open where dimension = 'all' and date = '2024-12-05'"
    ) == sum(t.stage != "closed" for t in tickets)
    hours = sum((t.first_reply_at - t.created_at).total_seconds() for t in tickets if t.first_reply_at is not None)
    told = warehouse.one("select sum(response_hours) from marts.fct_support_daily")
    assert abs(told * 3600 - Decimal(hours)) < len(tickets)


def test_satisfaction_is_what_customers_answered(warehouse: DbtWarehouse, company: Company) -> None:
    answers = company.part(build_satisfaction).answers
    days = {day_of(answer.at) for answer in answers}
    told = {
        day: (value, happy, rated)
        for day, value, happy, rated in warehouse.rows(
            "select date, value, numerator, denominator from candidate_metrics.csat where dimension = 'all'"
        )
    }
    assert set(told) == days and len(days) > 5
    for day in days:
        ratings = [answer.rating for answer in answers if day_of(answer.at) == day]
        happy = ratings.count(2)
        assert told[day] == (round(Decimal(happy) / len(ratings), 8), happy, len(ratings))
    assert warehouse.one(
        "select sum(value) from candidate_metrics.survey_answers where dimension_value = 'csat'"
    ) == len(answers)


def test_scores_stand_within_their_bands_and_tiers(warehouse: DbtWarehouse, crm: Crm) -> None:
    scored = dict(warehouse.rows("select score, count(*) from marts.fct_scores group by 1"))
    assert scored["deal"] == sum(deal.stage in OPEN_STAGES for deal in living(crm))
    assert scored["lead"] == warehouse.one("select count(*) from marts.fct_leads") > 0 and scored["account"] > 0
    assert warehouse.one("select count(*) from marts.fct_scores where value < 0 or value > 100") == 0
    assert (
        warehouse.one(
            "select count(*) from marts.fct_scores where score = 'lead' and tier <> case when value >= 75 then 'hot'"
            " when value >= 45 then 'warm' when value >= 20 then 'cold' else 'disqualified' end"
        )
        == 0
    )
    # What is unknown widens the band, and is said.
    assert (
        warehouse.one(
            "select count(*) from marts.fct_scores where (unknown_components > 0) <> (value_high > value_low)"
        )
        == 0
    )
    assert warehouse.one("select count(*) from marts.fct_scores where unknown_components > 0") > 0
    total = warehouse.one("select value from candidate_metrics.leads_by_tier where dimension = 'all'")
    assert total == scored["lead"]


def test_a_change_of_a_score_is_told_by_its_factors(warehouse: DbtWarehouse) -> None:
    """A day later: inputs moved, and the changes sum to the score's exactly (a data test of the build)."""
    later = NOW + timedelta(days=1)
    warehouse.clock(later)
    for stream in ("contacts", "companies", "deals", "tickets"):
        warehouse.fresh("hubspot", stream, later)
    warehouse.build("--indirect-selection", "buildable", "--select", *PARTS)
    changed = warehouse.rows(
        "select s.value - p.value, (select sum(a.attainment_effect + a.weight_effect) from marts.fct_score_attribution"
        " as a where (a.date, a.score, a.subject_id) = (s.date, s.score, s.subject_id)) from marts.fct_scores as s"
        " join marts.fct_scores as p on (p.score, p.subject_id) = (s.score, s.subject_id) and p.date = s.date - 1"
    )
    assert changed and all(change == effects for change, effects in changed)
    assert any(change != 0 for change, _ in changed)


def test_a_bad_batch_brings_tickets(warehouse: DbtWarehouse, company: Company, crm: Crm) -> None:
    """Defective goods bring tickets: more on the days around a planted refund spike than on others."""
    spikes = [each for each in company.incidents if each.kind == "refund_spike"]
    if not spikes:
        pytest.skip("no bad batch was planted up to this clock")
    series = dict(warehouse.rows("select date, value from candidate_metrics.tickets_opened where dimension = 'all'"))
    mean = sum(series.values()) / len(series)
    assert any(
        max((value for day, value in series.items() if -2 <= (day - each.start).days <= 10), default=0) > 2 * mean
        for each in spikes
    )
