"""The e-mails and calls of the sandbox's sales people: one for every touch on a working day, and answers to them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sandbox.company import Company, generate
from sandbox.company.crm import Crm, build_crm
from sandbox.company.outreach import LoggedCall, LoggedEmail, Outreach, build_outreach

NOW = datetime(2024, 12, 5, 11, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, NOW)


@pytest.fixture(scope="module")
def crm(company: Company) -> Crm:
    return company.part(build_crm)


@pytest.fixture(scope="module")
def outreach(company: Company) -> Outreach:
    return company.part(build_outreach)


def test_every_touch_on_a_working_day_is_logged_once(crm: Crm, outreach: Outreach) -> None:
    wanted = sorted((at, deal.id) for deal in crm.deals for at in deal.touched_at if at.astimezone(ZONE).weekday() < 5)
    both: tuple[LoggedEmail | LoggedCall, ...] = (*outreach.emails, *outreach.calls)
    logged = [each for each in both if not each.incoming]
    assert sorted([(each.at, each.deal_id) for each in logged if each.deal_id is not None]) == wanted
    leads = {contact.id for contact in crm.contacts if contact.company_id is None and contact.touches}
    assert {each.contact_id for each in logged if each.deal_id is None} <= leads
    owners = {deal.id: deal.owner for deal in crm.deals}
    assert all(each.owner == owners[each.deal_id] for each in logged if each.deal_id is not None)


def test_every_answer_follows_what_it_answers(outreach: Outreach) -> None:
    by_id = {each.id: each for each in outreach.emails}
    answers = [each for each in outreach.emails if each.incoming]
    assert len(answers) > 10
    for answer in answers:
        sent = by_id[answer.thread]
        assert sent.at < answer.at <= NOW and sent.contact_id == answer.contact_id and sent.status == "sent"


def test_a_later_clock_adds_and_changes_nothing(company: Company, outreach: Outreach) -> None:
    later = generate(7, datetime(2025, 1, 20, 11, tzinfo=UTC)).part(build_outreach)
    known = {each.id: (each.at, each.incoming, each.subject) for each in later.emails}
    assert all(known[each.id] == (each.at, each.incoming, each.subject) for each in outreach.emails)
    assert {each.id for each in outreach.calls} < {each.id for each in later.calls}
