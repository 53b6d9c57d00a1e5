"""A model computed in parts says what it says when computed whole, whatever changed in between and in what order.

The oracle is the same SQL over the whole history: each history of changes ends with a full refresh, and no table may
differ from what the builds before it left. That the whole is right, other tests say."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.payloads import line, order, parcel, product, refund, stock

START = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
SHOP = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "America/New_York"}
CUSTOMERS = [None, 1, 2, 3]
# A full refresh leaves the pictures of stock alone, and there is no other memory of them.
REMEMBERED = {"int_stock_snapshots"}
# The views too: a full refresh drops those that stand on a table.
WITHOUT_TESTS = ("--exclude-resource-type", "test")


def some_order(draw: random.Random, number: int, today: date) -> dict[str, Any]:
    """An order of the last hundred days, or a very old one, in any state."""
    age = draw.choice([0, 1, 2, 5, 8, 20, 35, 59, 62, 100, 400])
    placed = datetime(today.year, today.month, today.day, draw.randrange(24), 59, 59, tzinfo=UTC) - timedelta(days=age)
    lines = [
        line(number * 10 + place, draw.choice("ABC"), draw.randint(1, 4), str(draw.choice([50, 30, "0.335"])))
        for place in range(1, draw.randint(2, 4))
    ]
    state: dict[str, Any] = {}
    moment = (placed + timedelta(days=draw.randint(0, 30))).strftime("%Y-%m-%dT%H:%M:%SZ")
    match draw.choice(["open", "open", "shipped", "cancelled", "refunded"]):
        case "shipped":
            state = {"displayFulfillmentStatus": "FULFILLED", "fulfillments": [parcel(number, moment)]}
        case "cancelled":
            state = {"cancelledAt": moment, "cancelReason": "CUSTOMER"}
        case "refunded":
            state = {"displayFinancialStatus": "REFUNDED", "refunds": [refund(number, moment, ["30"])]}
    return order(
        number, placed.strftime("%Y-%m-%dT%H:%M:%SZ"), lines, customer=draw.choice(CUSTOMERS),
        country=draw.choice(["US", "GB", "DE", None]), tags=draw.choice([[], ["Amazon"], ["custom"]]), **state,
    )  # fmt: skip


def contents(warehouse: DbtWarehouse) -> dict[str, list[Any]]:
    """Every table that dbt keeps, rows in order."""
    tables = warehouse.rows(
        "select schemaname || '.' || tablename, tablename from pg_tables where schemaname in ('staging',"
        " 'intermediate', 'candidate_marts', 'candidate_metrics', 'marts', 'metrics') order by 1"
    )
    return {
        name: warehouse.rows(f"select row_to_json(kept)::text from {name} as kept order by 1")
        for name, plain in tables
        if plain not in REMEMBERED
    }


def a_day_passes(draw: random.Random, warehouse: DbtWarehouse, numbers: list[int], now: datetime) -> datetime:
    """Orders come, change and go; some syncs bring nothing, some days are not compared; the clock moves."""
    now += timedelta(days=draw.choice([0, 1, 1, 3, 70]), hours=draw.randrange(5))
    changed = draw.sample(numbers, draw.randint(0, min(4, len(numbers))))
    fresh = list(range(max(numbers, default=0) + 1, max(numbers, default=0) + 1 + draw.randint(0, 3)))
    gone = [number for number in numbers if number not in changed and draw.random() < 0.1]
    warehouse.clock(now)
    warehouse.land(
        "shopify", "orders", [some_order(draw, number, now.date()) for number in changed + fresh], now,
        deleted=[f"gid://shopify/Order/{number}" for number in gone], fresh=draw.random() < 0.8,
    )  # fmt: skip
    numbers[:] = sorted((set(numbers) | set(fresh)) - set(gone))
    if draw.random() < 0.5:
        warehouse.land("shopify", "inventory_items", [stock("A", draw.randint(0, 90), draw.randint(0, 90))], now)
    for age in draw.sample(range(1, 60), 5):
        warehouse.connection.execute(
            "insert into ops.tie_outs (vendor, stream, entity, day, status, checked_at) values"
            " ('shopify', 'orders', 'orders', %s, %s, %s)"
            " on conflict (vendor, stream, entity, day) do update set status = excluded.status",
            (now.date() - timedelta(days=age), draw.choice(["matched", "mismatched", "unknown"]), now),
        )
    return now


STAGES = [
    {"id": "quote", "label": "Quote", "displayOrder": 0, "metadata": {"probability": "0.4", "isClosed": "false"}},
    {"id": "won", "label": "Won", "displayOrder": 1, "metadata": {"probability": "1.0", "isClosed": "true"}},
    {"id": "lost", "label": "Lost", "displayOrder": 2, "metadata": {"probability": "0.0", "isClosed": "true"}},
]
WITH_THE_CRM = ("+fct_deals", "+fct_leads", "+fct_scores", "+fct_support_daily", "+fct_pipeline_daily",
                "+fct_app_unknown_customers", "+fct_product_reviews", "+int_email_days")  # fmt: skip


def of_the_crm(draw: random.Random, kind: str, now: datetime) -> dict[str, Any]:
    """A record of the CRM in any state, changed now."""

    def earlier() -> str | None:
        return draw.choice([None, (now - timedelta(days=draw.randrange(90))).isoformat()])

    made = (now - timedelta(days=draw.randrange(90, 120))).isoformat()
    properties: dict[str, Any] = {
        "createdate": made, "hs_lastmodifieddate": now.isoformat(), "notes_last_contacted": earlier(),
        "num_contacted_notes": draw.choice([None, "1", "9"]),
    }  # fmt: skip
    match kind:
        case "deals":
            properties |= {
                "pipeline": "p", "dealstage": draw.choice(["quote", "won", "lost", "gone"]), "closedate": earlier(),
                "amount": draw.choice([None, "100", "30000.5"]), "deal_currency_code": draw.choice(["USD", "XTS"]),
            }  # fmt: skip
        case "contacts":
            properties |= {
                "lifecyclestage": draw.choice(["lead", "opportunity", "customer"]), "hs_lead_status": "NEW",
                "associatedcompanyid": draw.choice([None, "1", "2"]), "lastmodifieddate": now.isoformat(),
            }  # fmt: skip
        case "companies":
            properties |= {
                "lifecyclestage": draw.choice([None, "customer"]),
                "numberofemployees": draw.choice([None, "5", "90"]),
            }
        case "tickets":
            properties |= {
                "hs_pipeline": "0", "hs_pipeline_stage": draw.choice(["1", "4"]), "closed_date": earlier(),
                "first_agent_reply_date": earlier(), "hs_ticket_priority": draw.choice([None, "HIGH"]),
            }  # fmt: skip
    return {"properties": properties}


def a_day_of_the_crm(draw: random.Random, warehouse: DbtWarehouse, now: datetime) -> datetime:
    """Records of the CRM, of the app and of the worktables come, change, go and come back; the clock moves."""
    now += timedelta(days=draw.choice([0, 1, 1, 2, 30]), hours=draw.randrange(5))
    warehouse.clock(now)
    for kind in ("deals", "contacts", "companies", "tickets"):
        ids = draw.sample("123456", draw.randint(0, 3))
        gone = [] if draw.random() < 0.5 else [draw.choice("123456")]
        changed = [identity for identity in ids if identity not in gone]
        warehouse.land("hubspot", kind, [of_the_crm(draw, kind, now) for _ in changed], now, ids=changed, deleted=gone)
    entered, linked = {}, {}
    for identity in draw.sample("123456", 2):
        kind, stage = draw.choice(["deals", "tickets"]), draw.choice(["quote", "won", "lost"])
        record = {"record": f"{kind}:{identity}", "object_type": kind, "object_id": identity}
        entered[f"{kind}:{identity}:{now}"] = {**record, "value": stage, "timestamp": now.isoformat()}
        company = draw.choice("12")
        types = [{"category": "HUBSPOT_DEFINED", "typeId": draw.choice([5, 26, 341])}]
        link = {"from_type": kind, "from_id": identity, "to_type": "companies", "to_id": company, "types": types}
        linked[f"{kind}:{identity}>companies:{company}"] = {**link, "from": f"{kind}:{identity}"}
    warehouse.land("hubspot", "stage_history", entered.values(), now, ids=entered)
    unlinked = {f"deals:{draw.choice('123456')}>companies:1"} - linked.keys()
    warehouse.land("hubspot", "associations", linked.values(), now, ids=linked, deleted=unlinked)
    asked = {"status": draw.choice(["open", "closed"]), "created_at": START.isoformat(), "updated_at": now.isoformat()}
    warehouse.land("app", "tickets", [asked], now, ids=[draw.choice("123")])
    user = {"role": "customer", "created_at": START.isoformat(), "shop_customer_id": draw.choice([None, "1", "2", "3"])}
    warehouse.land("app", "users", [user], now, ids=[draw.choice("123")])
    known = draw.choice("123")
    warehouse.land(
        "shopify", "customers", [{"createdAt": START.isoformat()}], now, ids=[f"gid://shopify/Customer/{known}"],
        deleted=[f"gid://shopify/Customer/{number}" for number in "123" if number != known and draw.random() < 0.3],
    )  # fmt: skip
    happening = {"metric_name": draw.choice(["Received Email", "Opened Email"]), "count": str(draw.randrange(9))}
    day = (now - timedelta(days=draw.randrange(3))).date().isoformat()
    warehouse.land("klaviyo", "metric_aggregates", [{**happening, "day": day}], now, ids=[draw.choice("123")])
    review = {"sku": "A", "rating": "4", "reviewed_at": now.date().isoformat()}
    warehouse.land("airtable", "product_reviews", [review], now, ids=[draw.choice("123")])
    return now


def history_of_the_crm(warehouse: DbtWarehouse, seed: int, days: int) -> None:
    draw = random.Random(seed)
    now = START
    warehouse.clock(now)
    warehouse.land("shopify", "shop", [SHOP], now)
    pipelines = {"deals:p": {"objectType": "deals", "id": "p", "label": "P", "stages": STAGES}}
    warehouse.land("hubspot", "pipelines", pipelines.values(), now, ids=pipelines)
    warehouse.build(*WITHOUT_TESTS, "--select", *WITH_THE_CRM)
    for _ in range(days):
        now = a_day_of_the_crm(draw, warehouse, now)
        warehouse.run("--select", *WITH_THE_CRM)
    before = contents(warehouse)
    warehouse.build(*WITHOUT_TESTS, "--full-refresh", "--select", *WITH_THE_CRM)
    after = contents(warehouse)
    for mart in ("fct_deals", "fct_scores", "fct_score_attribution", "fct_support_daily"):
        assert len(before[f"candidate_marts.{mart}"]) > 0
    assert {name: (len(before[name]), len(after[name])) for name in after if before[name] != after[name]} == {}


def history(warehouse: DbtWarehouse, seed: int, days: int) -> None:
    draw = random.Random(seed)
    numbers: list[int] = []
    now = START
    warehouse.clock(now)
    warehouse.land("shopify", "shop", [SHOP], now)
    warehouse.land("shopify", "products", [product("A"), product("B")], now)
    warehouse.build(*WITHOUT_TESTS)
    for _ in range(days):
        now = a_day_passes(draw, warehouse, numbers, now)
        warehouse.run()
    before = contents(warehouse)
    warehouse.build(*WITHOUT_TESTS, "--full-refresh")
    after = contents(warehouse)
    assert len(before["marts.fct_orders"]) > 0
    assert {name: (len(before[name]), len(after[name])) for name in after if before[name] != after[name]} == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 14))
def test_parts_add_up_to_the_whole_in_any_history(make_warehouse: MakeWarehouse, seed: int) -> None:
    history(make_warehouse(), seed=seed, days=9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_parts_of_the_crm_add_up_to_the_whole_in_any_history(make_warehouse: MakeWarehouse, seed: int) -> None:
    history_of_the_crm(make_warehouse(), seed=seed, days=9)
