"""HubSpot's rows from the sandbox through the connector into the staging models: what is gone is gone, and every
number is the company's own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.company import Company
from sandbox.company.crm import Crm, build_crm
from sandbox.company.outreach import build_outreach
from tests.connectors.conftest import NOW
from tests.warehouse.dbt_warehouse import DbtWarehouse


@pytest.fixture(scope="module")
def staged(crm_landed: DbtWarehouse) -> DbtWarehouse:
    # With its unit tests.
    crm_landed.dbt("build", "--select", "path:models/staging/hubspot")
    return crm_landed


def test_records_are_those_of_the_company(staged: DbtWarehouse, crm: Crm) -> None:
    for name, told in (
        ("companies", crm.companies),
        ("contacts", crm.contacts),
        ("deals", crm.deals),
        ("tickets", crm.tickets),
    ):
        living = [each for each in told if each.archived_at is None]
        assert staged.one(f"select count(*) from staging.stg_hubspot__{name}") == len(living)
    won = sum((deal.amount or Decimal(0) for deal in crm.deals if deal.stage == "won"), Decimal(0))
    assert staged.one("select sum(amount) from staging.stg_hubspot__deals where is_won") == won
    assert staged.one("select count(*) from staging.stg_hubspot__deals where is_closed and close_at is null") == 0


def test_a_won_deal_has_the_amount_of_its_invoice(staged: DbtWarehouse, company: Company) -> None:
    amounts = dict(
        staged.rows(
            "select erp_invoice_number, amount from staging.stg_hubspot__deals where erp_invoice_number is not null"
        )
    )
    exact = {each.number: each.net + each.tax for each in company.b2b_invoices if each.kind == "invoice"}
    different = {number for number, amount in amounts.items() if exact[number] != amount}
    planted = {
        each.expected["invoice"] for each in company.part(build_crm).incidents if each.kind == "crm_wrong_amount"
    }
    assert different == planted and planted
    assert len(amounts) > 20


def test_emails_and_calls_are_those_of_the_company(staged: DbtWarehouse, company: Company) -> None:
    told = company.part(build_outreach)
    emails = [each for each in told.emails if each.archived_at is None]
    assert dict(staged.rows("select direction, count(*) from staging.stg_hubspot__emails group by 1")) == {
        "EMAIL": sum(not each.incoming for each in emails),
        "INCOMING_EMAIL": sum(each.incoming for each in emails),
    }
    assert staged.one("select count(*) from staging.stg_hubspot__calls where outcome_id is null") == sum(
        each.outcome is None for each in told.calls
    )
    seconds = sum(Decimal(each.milliseconds or 0) for each in told.calls) / 1000
    assert staged.one("select sum(duration_seconds) from staging.stg_hubspot__calls") == seconds
    # What was written and to whom is not even landed.
    landed = staged.rows("select distinct jsonb_object_keys(payload -> 'properties') from raw_hubspot.emails")
    assert not {name for (name,) in landed} & {"hs_email_subject", "hs_email_text", "hs_email_to_email"}


def test_stages_follow_each_other_and_have_names(staged: DbtWarehouse, crm: Crm) -> None:
    living = [deal for deal in crm.deals if deal.archived_at is None]
    assert staged.one("select count(*) from staging.stg_hubspot__stage_changes where object_type = 'deals'") == sum(
        len(deal.stages) for deal in living
    )
    # The stage without an end is the one the deal stands at.
    assert staged.one(
        "select count(*) from staging.stg_hubspot__deals as d join staging.stg_hubspot__stage_changes as c"
        " on c.object_type = 'deals' and c.record_id = d.deal_id and c.left_at is null and c.stage_id = d.stage_id"
    ) == len(living)
    assert staged.rows(
        "select stage_name, probability, is_closed from staging.stg_hubspot__pipeline_stages"
        " where object_type = 'deals' order by stage_order"
    ) == [
        ("New inquiry", Decimal("0.1"), False), ("Qualified", Decimal("0.15"), False),
        ("Sample sent", Decimal("0.25"), False), ("Quote sent", Decimal("0.4"), False),
        ("Negotiation", Decimal("0.6"), False), ("Verbal commitment", Decimal("0.75"), False),
        ("Contract sent", Decimal("0.9"), False), ("Closed won", Decimal("1.0"), True),
        ("Closed lost", Decimal("0.0"), True),
    ]  # fmt: skip


def test_links_lead_to_companies_and_owners(staged: DbtWarehouse) -> None:
    assert (
        staged.one(
            "select count(*) from staging.stg_hubspot__associations as a where a.from_type = 'deals'"
            " and a.to_type = 'companies' and not exists (select 1 from staging.stg_hubspot__companies as c"
            " where c.company_id = a.to_id)"
        )
        == 0
    )
    assert (
        staged.one(
            "select count(*) from staging.stg_hubspot__deals as d where owner_id is not null and not exists"
            " (select 1 from staging.stg_hubspot__owners as o where o.owner_id = d.owner_id)"
        )
        == 0
    )
    assert staged.rows("select owner_name from staging.stg_hubspot__owners where is_former") == [("Greta Sundberg",)]


def test_a_deleted_deal_takes_its_stages_and_links_with_it(staged: DbtWarehouse) -> None:
    doomed = staged.one(
        "select from_id from staging.stg_hubspot__associations where from_type = 'deals' order by 1 limit 1"
    )
    staged.land("hubspot", "deals", [], NOW, deleted=[doomed])
    staged.run("--select", "path:models/staging/hubspot")
    for model, column in (("deals", "deal_id"), ("stage_changes", "record_id"), ("associations", "from_id")):
        assert staged.one(f"select count(*) from staging.stg_hubspot__{model} where {column} = '{doomed}'") == 0
