"""Nine systems tell one story: what landed from each agrees with the others, but where it was planted not to.

Each question joins two vendors' staging tables, which came over different protocols; what may differ is what the
sandbox planted, as it says itself."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from sandbox.company.generate import generate
from sandbox.company.model import Incident
from sandbox.company.planted import planted
from tests.cycle.conftest import Cycle

CLOCK = datetime.fromisoformat("2026-11-20T06:00:00-05:00")


@pytest.fixture(scope="module")
def incidents() -> list[Incident]:
    return planted(generate(7, CLOCK))


def of_kind(incidents: list[Incident], *kinds: str) -> list[Incident]:
    found = [incident for incident in incidents if incident.kind in kinds]
    assert found, kinds
    return found


def days_of(incidents: list[Incident]) -> set[date]:
    return {incident.start for incident in incidents}


def test_every_vendor_landed_and_what_ties_out_does(cycle: Cycle) -> None:
    vendors = {vendor for (vendor,) in cycle.rows("select distinct vendor from ops.sync_runs where received > 0")}
    assert vendors == {
        "shopify", "netsuite", "slack", "hubspot", "airtable", "klaviyo", "github", "amazon", "app",
    }  # fmt: skip
    assert cycle.rows("select vendor, stream, error from ops.sync_runs where error is not null") == []
    tied = {vendor for (vendor,) in cycle.rows("select distinct vendor from ops.tie_outs where status = 'matched'")}
    assert tied >= {"shopify", "netsuite", "hubspot", "airtable", "klaviyo", "github", "amazon", "app"}


def test_won_deals_are_the_erps_invoices(cycle: Cycle, incidents: list[Incident]) -> None:
    wrong = cycle.rows(
        "select invoices.transaction_number, deals.amount / invoices.total_amount"
        " from staging.stg_netsuite__transactions as invoices"
        " join staging.stg_hubspot__deals as deals on deals.erp_invoice_number = invoices.transaction_number"
        " where deals.is_won and deals.amount is distinct from invoices.total_amount order by 1"
    )
    unsold = cycle.rows(
        "select invoices.transaction_number from staging.stg_netsuite__transactions as invoices"
        " where invoices.transaction_type = 'CustInvc' and invoices.shop_order_name is null and not exists"
        " (select from staging.stg_hubspot__deals as deals"
        "   where deals.erp_invoice_number = invoices.transaction_number)"
        " order by 1"
    )
    assert [number for number, _ in wrong] == sorted(
        incident.entity.split(":")[-1] for incident in of_kind(incidents, "crm_wrong_amount")
    )
    assert {factor for _, factor in wrong} == {10}
    assert [number for (number,) in unsold] == sorted(
        incident.entity.split(":")[-1] for incident in of_kind(incidents, "crm_missing_deal")
    )


def test_amazons_orders_are_the_shops_of_that_channel(cycle: Cycle) -> None:
    # Amazon gives no order that is older than two years.
    only_one_side = cycle.rows(
        "select coalesce(shop.order_name, amazon.seller_order_id) from"
        " (select order_name from marts.fct_orders where channel = 'amazon'"
        "   and processed_at > '2024-11-21') as shop full join"
        " (select seller_order_id from staging.stg_amazon__orders where sales_channel = 'AMAZON'"
        "   and marketplace_id = 'ATVPDKIKX0DER' and replaces_order_id is null"
        "   and purchased_at > '2024-11-21') as amazon"
        " on amazon.seller_order_id = shop.order_name where shop.order_name is null or amazon.seller_order_id is null"
    )
    assert only_one_side == []
    amounts: Any = cycle.rows(
        "select count(*), sum(shop.net_amount), sum(items.sales_amount) from marts.fct_orders as shop"
        " join staging.stg_amazon__orders as amazon on amazon.seller_order_id = shop.order_name"
        " join (select order_id, sum(sales_amount) as sales_amount from staging.stg_amazon__order_items group by 1)"
        "   as items on items.order_id = amazon.order_id"
        " where shop.channel = 'amazon' and shop.cancelled_at is null and not amazon.is_pending"
    )[0]
    assert amounts[0] > 1000
    assert amounts[1] == amounts[2]


def test_the_mail_system_heard_of_the_shops_orders(cycle: Cycle, incidents: list[Incident]) -> None:
    days = cycle.rows(
        "with heard as (select order_name, count(*) as times, min(value_amount) as amount"
        "   from staging.stg_klaviyo__events where metric_name = 'Placed Order' group by 1)"
        " select orders.sales_day, count(*) filter (where heard.times > 1),"
        "   count(*) filter (where heard.times is null),"
        "   count(*) filter (where heard.amount <> orders.total_amount), count(heard.times)"
        " from marts.fct_orders as orders left join heard on heard.order_name = orders.order_name"
        " where orders.processed_at < '2026-11-15' group by 1 order by 1"
    )
    doubled = days_of(of_kind(incidents, "mail_events_doubled"))
    silent = days_of(of_kind(incidents, "mail_events_missing"))
    assert {day for day, times, _, _, _ in days if times} == doubled
    assert {day for day, _, _, _, heard in days if not heard} == silent
    assert sum(other for _, _, _, other, _ in days) == 0


def test_the_apps_customers_are_the_shops(cycle: Cycle, incidents: list[Incident]) -> None:
    strangers = cycle.rows(
        "select count(*) from staging.stg_app__users as users where users.shop_customer_id is not null and not exists"
        " (select from staging.stg_shopify__customers as customers"
        "   where regexp_replace(customers.customer_id, '.*/', '') = regexp_replace(users.shop_customer_id, '.*/', ''))"
    )
    assert strangers[0][0] > 0
    assert strangers[0][0] == sum(
        len(incident.expected["users"].split(",")) for incident in of_kind(incidents, "app_orphans")
    )


def test_the_content_calendar_has_the_campaigns(cycle: Cycle, incidents: list[Incident]) -> None:
    missing = cycle.rows(
        "select campaigns.campaign_name from staging.stg_klaviyo__campaigns as campaigns where campaigns.is_sent"
        " and not exists (select from staging.stg_airtable__content_calendar as entries"
        "   where campaigns.campaign_name in (entries.campaign, entries.title)) order by 1"
    )
    assert len(missing) == len(of_kind(incidents, "content_entry_missing"))


def test_every_incident_has_its_own_number_and_a_later_clock_only_adds(incidents: list[Incident]) -> None:
    numbers = [incident.id for incident in incidents]
    assert len(numbers) == len(set(numbers)) > 100
    earlier = planted(generate(7, datetime.fromisoformat("2026-10-01T06:00:00-04:00")))
    assert {incident.id for incident in earlier} <= set(numbers)
